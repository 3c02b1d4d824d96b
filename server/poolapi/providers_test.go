package poolapi_test

func providerContracts() map[string]contract {
	return map[string]contract{}
}
