import Glibc

extension Estimate {
    /// A share of images that come in groups, such as the frames of one object, with Wilson's interval.
    ///
    /// Images of one group are not independent, so the interval is that of fewer images: of their number divided by the
    /// design effect, the variance of the share over whole groups by that over single images (Kish, Survey Sampling,
    /// 1965). Where all or none are true, which has no variance, it is that of as many images as there are groups.
    ///
    /// - Returns: nil when there are no images.
    package static func share(_ isTrue: [Bool], groups: [Int]) -> Estimate? {
        guard !isTrue.isEmpty else { return nil }
        let sums = GroupSums(isTrue.map { $0 ? 1 : 0 }, groups: groups)
        let (n, k) = (Double(isTrue.count), Double(sums.counts.count))
        let p = Double(isTrue.count { $0 }) / n
        var size = k
        if p > 0, p < 1, k > 1, k < n {
            let squares = zip(sums.sums, sums.counts).reduce(0) { $0 + ($1.0 - p * $1.1) * ($1.0 - p * $1.1) }
            let effect = k / (k - 1) * squares / (n * p * (1 - p))
            size = min(n / max(effect, 1), n)
        }
        return Estimate(p, .wilson(share: p, of: size))
    }

    /// A mean over images that come in groups, with the interval of a bootstrap of whole groups.
    ///
    /// - Returns: nil when there are no images.
    package static func mean(
        of values: [Double], groups: [Int], within limits: ClosedRange<Double>, task: String,
        options: BootstrapOptions = BootstrapOptions()
    ) -> Estimate? {
        guard !values.isEmpty else { return nil }
        let sums = GroupSums(values, groups: groups)
        var bootstrap = Bootstrap(seed: options.seed, task: task)
        let means = (0..<options.resamples).map { _ in
            var (sum, count) = (0.0, 0.0)
            bootstrap.sample(sums.counts.count) { group in
                sum += sums.sums[group]
                count += sums.counts[group]
            }
            return sum / count
        }
        let value = values.reduce(0, +) / Double(values.count)
        return Estimate(value, .percentile(of: means, about: value, within: limits))
    }
}

/// The sum of some values over each group, and how many there are.
private struct GroupSums {
    private(set) var sums: [Double] = []
    private(set) var counts: [Double] = []

    init(_ values: [Double], groups: [Int]) {
        var places: [Int: Int] = [:]
        for (value, group) in zip(values, groups) {
            let place = places[group] ?? sums.count
            if place == sums.count {
                places[group] = place
                sums.append(0)
                counts.append(0)
            }
            sums[place] += value
            counts[place] += 1
        }
    }
}
