import Files

/// How well a task's fit tells its images from those of the other tasks that are evaluated with it.
package struct FitMetrics: Sendable, Equatable {
    /// The fit from which on an image counts as kept: 95 % of a task's images are to have it.
    package static let level = 0.05

    /// The number of the task's images.
    package let images: Int
    /// The number of other tasks' images.
    package let others: Int
    /// The probability that an image of the task has a higher fit than one of another task, where equal fits count
    /// half: the area under the ROC curve. Nil without other images.
    package let auroc: Double?
    /// The share of the task's images that are kept.
    package let coverage: Double
    /// The share of other tasks' images that are kept; nil without any.
    package let othersKept: Double?
    /// The accuracy among the task's images that are kept; nil where images do not show one class each.
    package let accuracyKept: Double?

    /// Computes them, or nothing without fits.
    ///
    /// - Parameters:
    ///   - fits: of the task's images with a prediction.
    ///   - areRight: whether the prediction of each is right; nil where images do not show one class each.
    ///   - others: the fits of other tasks' images.
    package init?(_ fits: [Double], areRight: [Bool]?, others: [Double]) {
        guard !fits.isEmpty else { return nil }
        func share(_ fits: [Double]) -> Double { Double(fits.count { $0 >= Self.level }) / Double(fits.count) }
        (images, self.others) = (fits.count, others.count)
        auroc = others.isEmpty ? nil : Self.auroc(fits, others)
        coverage = share(fits)
        othersKept = others.isEmpty ? nil : share(others)
        let kept = areRight.map { zip(fits, $0).filter { $0.0 >= Self.level } } ?? []
        accuracyKept = kept.isEmpty ? nil : Double(kept.count(where: \.1)) / Double(kept.count)
    }

    /// The probability that a number is larger than another, where equal ones count half.
    private static func auroc(_ numbers: [Double], _ others: [Double]) -> Double {
        let others = others.sorted()
        var wins = 0.0
        var (below, notAbove) = (0, 0)
        for number in numbers.sorted() {
            while below < others.count, others[below] < number { below += 1 }
            while notAbove < others.count, others[notAbove] <= number { notAbove += 1 }
            wins += Double(below + notAbove) / 2
        }
        return wins / Double(numbers.count) / Double(others.count)
    }

    /// The numbers by name, in the order of the output files; nil where one is not known.
    package var values: [(name: String, value: Double?)] {
        [
            ("auroc", auroc), ("coverage", coverage), ("others_kept", othersKept), ("accuracy_kept", accuracyKept),
        ]
    }

    /// The object in `metrics.json`.
    var json: JSON {
        var object: JSONObject = [
            "level": .double(Self.level), "images": .int(images), "others": .int(others),
        ]
        for (name, value) in values { object[name] = value.map(JSON.double) ?? .null }
        return .object(object)
    }
}
