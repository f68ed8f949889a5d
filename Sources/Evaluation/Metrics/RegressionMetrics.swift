/// Metrics of a regression task, computed from true and predicted values.
package struct RegressionMetrics: Sendable, Equatable {
    /// The errors of one output, or their means over the outputs, with bootstrap intervals.
    package struct Errors: Sendable, Equatable {
        /// The mean absolute error.
        package let mae: Estimate
        /// The root of the mean squared error.
        package let rmse: Estimate
        /// 1 − Σ(y − ŷ)² / Σ(y − ȳ)²; nil when the true values are all the same.
        package let r2: Estimate?
    }

    /// The number of images with a prediction; at least one.
    package let images: Int
    /// The means over the outputs, with equal weights.
    package let mean: Errors
    /// By output, in the head's order.
    package let perOutput: [Errors]

    /// Computes a task's metrics.
    ///
    /// - Parameters:
    ///   - task: the task's name, which seeds its bootstrap samples.
    ///   - outputs: the number of outputs of the head.
    ///   - predictions: the predictions; finite.
    /// - Returns: nil without predictions or outputs.
    package init?(
        task: String, outputs: Int, predictions: [ValuePrediction], bootstrap: BootstrapOptions = BootstrapOptions()
    ) {
        guard !predictions.isEmpty, outputs > 0 else { return nil }
        let all = Self.numbers(predictions, outputs)
        var samples = [[[Double]]](repeating: [[], [], []], count: outputs + 1)
        var generator = Bootstrap(seed: bootstrap.seed, task: task)
        for _ in 0..<max(bootstrap.resamples, 0) {
            var sample: [ValuePrediction] = []
            sample.reserveCapacity(predictions.count)
            generator.sample(predictions.count) { sample.append(predictions[$0]) }
            for (place, numbers) in Self.numbers(sample, outputs).enumerated() {
                for (index, number) in numbers.enumerated() { if let number { samples[place][index].append(number) } }
            }
        }
        let largest = Double.greatestFiniteMagnitude
        let limits = [0...largest, 0...largest, -largest...1]
        let errors = all.indices.compactMap { place -> Errors? in
            let estimates = (0..<3).map { index in
                all[place][index].map {
                    Estimate($0, .percentile(of: samples[place][index], about: $0, within: limits[index]))
                }
            }
            guard let mae = estimates[0], let rmse = estimates[1] else { return nil }
            return Errors(mae: mae, rmse: rmse, r2: estimates[2])
        }
        guard errors.count == outputs + 1 else { return nil }
        (images, mean, perOutput) = (predictions.count, errors[0], Array(errors.dropFirst()))
    }

    /// MAE, RMSE and R²: the means over the outputs, then those of each output. The mean R² is nil if one of them is.
    private static func numbers(_ predictions: [ValuePrediction], _ outputs: Int) -> [[Double?]] {
        let count = Double(predictions.count)
        let each = (0..<outputs).map { output -> [Double?] in
            let mean = predictions.reduce(0) { $0 + $1.truth[output] } / count
            let (lowest, highest) = predictions.reduce((Double.infinity, -Double.infinity)) {
                (min($0.0, $1.truth[output]), max($0.1, $1.truth[output]))
            }
            var (absolute, squares, spread) = (0.0, 0.0, 0.0)
            for prediction in predictions {
                let error = prediction.predicted[output] - prediction.truth[output]
                absolute += abs(error)
                squares += error * error
                spread += (prediction.truth[output] - mean) * (prediction.truth[output] - mean)
            }
            return [
                absolute / count, (squares / count).squareRoot(),
                lowest < highest && spread > 0 ? 1 - squares / spread : nil,
            ]
        }
        let means = (0..<3).map { index -> Double? in
            let known = each.compactMap { $0[index] }
            return known.count == outputs ? known.reduce(0, +) / Double(outputs) : nil
        }
        return [means] + each
    }
}
