package poolapi_test

func userContracts() map[string]contract {
	return map[string]contract{}
}
