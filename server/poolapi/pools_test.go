package poolapi_test

func poolContracts() map[string]contract {
	return map[string]contract{}
}
