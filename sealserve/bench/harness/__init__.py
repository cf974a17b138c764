"""What the benches share: a learning lab, a serving site, intervals, plots and tables."""
