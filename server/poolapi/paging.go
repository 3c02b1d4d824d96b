package poolapi

import (
	"strconv"

	"github.com/weir-id/weir/federation/fault"
)

// pageOf is a page of a list that is held in memory. Its token is sealed and bound to what it pages through, as the directory's are.
func pageOf[T any](s *Service, all []T, of, token string, limit int) (page []T, next string, err error) {
	from := 0
	if token != "" {
		text, err := s.Directory.OpenToken(token, of)
		if err != nil {
			return nil, "", err
		}
		if from, err = strconv.Atoi(text); err != nil || from < 0 {
			return nil, "", fault.New(fault.Invalid, "The pagination token is not valid.", err)
		}
	}
	from = min(from, len(all))
	to := min(from+limit, len(all))
	if to < len(all) {
		next = s.Directory.SealToken(strconv.Itoa(to), of)
	}
	return all[from:to], next, nil
}
