package poolapi_test

func tagContracts() map[string]contract {
	return map[string]contract{}
}
