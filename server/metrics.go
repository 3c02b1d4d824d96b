package server

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weir-id/weir/federation/audit"
)

// Metrics are the process's counters in the Prometheus format. It is an audit.Recorder, which counts events by name.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	events   *prometheus.CounterVec
	ends     *prometheus.GaugeVec
	leases   *prometheus.GaugeVec
	traces   *prometheus.CounterVec
}

// NewMetrics returns metrics in a registry of their own, with those of the Go runtime and the process.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_http_requests_total", Help: "Requests answered by the public listener.",
		}, []string{"method", "route", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_http_request_duration_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_events_total", Help: "Audit events by name.",
		}, []string{"event"}),
	}
	m.ends = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "weir_provider_certificate_end_seconds", Help: "When the last signing certificate of a SAML provider ends, in seconds since 1970.",
	}, []string{"pool", "provider"})
	m.leases = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "weir_lease_held", Help: "1 where this node does the job, 0 where it did; over all nodes the sum is 1.",
	}, []string{"lease"})
	m.traces = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_signin_traces_total", Help: "Traces of sign-ins that succeeded: kept, and dropped because the store was too slow or failed.",
	}, []string{"outcome"})
	m.Traces(0, 0) // so that both are there from the start
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "weir_build_info", Help: "Always 1; the label tells the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(m.requests, m.latency, m.events, m.ends, m.leases, m.traces, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Record implements audit.Recorder.
func (m *Metrics) Record(_ context.Context, e audit.Event) { m.events.WithLabelValues(e.Name()).Inc() }

// ProviderCertificate tells when the last signing certificate of a provider ends.
func (m *Metrics) ProviderCertificate(poolID, provider string, end time.Time) {
	m.ends.WithLabelValues(poolID, provider).Set(float64(end.Unix()))
}

// Lease tells whether this node holds a lease. It implements lease.Watch.
func (m *Metrics) Lease(name string, held bool) {
	value := 0.0
	if held {
		value = 1
	}
	m.leases.WithLabelValues(name).Set(value)
}

// Traces counts traces of sign-ins. It implements trace.Watch.
func (m *Metrics) Traces(kept, dropped int) {
	m.traces.WithLabelValues("kept").Add(float64(kept))
	m.traces.WithLabelValues("dropped").Add(float64(dropped))
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Register adds a collector, such as an engine's own counters.
func (m *Metrics) Register(c prometheus.Collector) error { return m.registry.Register(c) }

// methods bounds the label: a client may send any word as its method.
var methods = map[string]bool{http.MethodGet: true, http.MethodPost: true, http.MethodHead: true, http.MethodOptions: true}

func (m *Metrics) request(method, route string, status int, took time.Duration) {
	if !methods[method] {
		method = "other"
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.latency.WithLabelValues(route).Observe(took.Seconds())
}
