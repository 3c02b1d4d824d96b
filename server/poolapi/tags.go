package poolapi

func tagOperations() []operation {
	return []operation{
		later("TagResource", admin),
		later("UntagResource", admin),
		later("ListTagsForResource", admin),
	}
}
