package poolapi_test

func clientContracts() map[string]contract {
	return map[string]contract{}
}
