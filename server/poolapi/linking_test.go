package poolapi_test

func linkingContracts() map[string]contract {
	return map[string]contract{}
}
