package poolapi_test

func domainContracts() map[string]contract {
	return map[string]contract{}
}
