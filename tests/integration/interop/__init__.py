"""What the tests of other people's tools with our models share: the forms of call, the mocks, a proxy."""
