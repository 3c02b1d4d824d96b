package metadata

import (
	"errors"
	"math"
	"regexp"
	"strconv"
	"time"
)

// parseTime reads xs:dateTime. A time without a zone is UTC (SAML core section 1.3.3).
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("not a date and time")
}

// durationForm is xs:duration (XML Schema part 2 section 3.2.6).
var durationForm = regexp.MustCompile(`^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?$`)

// parseDuration reads xs:duration; a year is 365 days and a month 30, which is near enough for a cache.
func parseDuration(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	m := durationForm.FindStringSubmatch(text)
	if m == nil {
		return 0, errors.New("not a duration")
	}
	var total float64
	for i, unit := range []time.Duration{365 * day, 30 * day, day, time.Hour, time.Minute, time.Second} {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, errors.New("not a duration")
		}
		total += n * float64(unit)
	}
	if total > math.MaxInt64/2 {
		return math.MaxInt64 / 2, nil
	}
	return time.Duration(total), nil
}
