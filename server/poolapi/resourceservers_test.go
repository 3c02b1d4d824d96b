package poolapi_test

func resourceServerContracts() map[string]contract {
	return map[string]contract{}
}
