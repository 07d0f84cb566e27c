"""UMS, unified monitoring: takes what every process tells over OTLP, and answers for it."""
