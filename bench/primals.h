#pragma once

// The four problems as a numerical programmer writes them: loops over doubles, no tensors. Compiled for the machine at
// hand (-march=native), as such a programmer would.

#include "problems.h"

namespace bench::primals {

double rosenbrock(const std::vector<double>& x);
double logistic(const problems::Logistic&, const std::vector<double>& w);
double regression(const problems::Regression&, const std::vector<double>& w);
double poisson(const problems::Poisson&, const std::vector<double>& w);

/// The gradient by hand, into `g`; returns the value.
double rosenbrock(const std::vector<double>& x, std::vector<double>& g);
double logistic(const problems::Logistic&, const std::vector<double>& w, std::vector<double>& g);
double regression(const problems::Regression&, const std::vector<double>& w, std::vector<double>& g);
double poisson(const problems::Poisson&, const std::vector<double>& w, std::vector<double>& g);

}  // namespace bench::primals
