import Glibc

/// The correlation of two measures of pairs of tasks, with Mantel's permutation test.
///
/// The pairs share tasks, so they are not independent. Mantel's test (Cancer Research 27, 1967) permutes the tasks of
/// one measure in every possible way and computes the correlation for each permutation. With more than `largest` tasks,
/// as many permutations are drawn at random as `largest` tasks have.
package struct Correlation: Sendable, Equatable {
    /// Pearson's r.
    package let pearson: Double
    /// Spearman's ρ: r of the ranks, equal values sharing theirs.
    package let spearman: Double
    /// The share of permutations whose |r| is at least as large (two-sided).
    package let pValue: Double
    /// The number of ordered pairs.
    package let count: Int

    /// With more tasks, permutations are drawn at random.
    package static let largest = 7

    /// Correlates two measures of pairs of tasks, both of them (tasks, tasks) without the diagonal.
    ///
    /// - Parameters:
    ///   - x: a measure, by the two tasks.
    ///   - y: another.
    ///   - tasks: the number of tasks.
    ///   - centred: whether each task's mean over its partners is subtracted from both measures first.
    /// - Returns: nil with fewer than three tasks, or when a measure is the same for all pairs.
    package init?(
        tasks: Int, centred: Bool = false, _ x: (_ task: Int, _ other: Int) -> Double,
        _ y: (_ task: Int, _ other: Int) -> Double
    ) {
        guard tasks > 2 else { return nil }
        let pairs = (0..<tasks).flatMap { task in (0..<tasks).filter { $0 != task }.map { (task, $0) } }
        func table(_ value: (Int, Int) -> Double) -> [Double] {
            var table = [Double](repeating: 0, count: tasks * tasks)
            for task in 0..<tasks {
                let others = (0..<tasks).filter { $0 != task }
                let mean = centred ? others.reduce(0) { $0 + value(task, $1) } / Double(others.count) : 0
                for other in others { table[task * tasks + other] = value(task, other) - mean }
            }
            return table
        }
        let (xs, ys) = (table(x), table(y))
        let values = (pairs.map { xs[$0 * tasks + $1] }, pairs.map { ys[$0 * tasks + $1] })
        guard let found = Self.pearson(values.0, values.1),
            let ranked = Self.pearson(Self.ranks(values.0), Self.ranks(values.1))
        else { return nil }
        var (all, far) = (0, 0)
        Self.permutations(tasks) { order in
            let moved = pairs.map { xs[order[$0] * tasks + order[$1]] }
            all += 1
            // The same values summed in another order may differ in the last bit.
            if let r = Self.pearson(moved, values.1), abs(r) >= abs(found) - 1e-12 { far += 1 }
        }
        (pearson, spearman, count) = (found, ranked, pairs.count)
        pValue = Double(far) / Double(all)
    }

    /// Pearson's r; nil when one of them is constant.
    package static func pearson(_ x: [Double], _ y: [Double]) -> Double? {
        let n = Double(x.count)
        let (mx, my) = (x.reduce(0, +) / n, y.reduce(0, +) / n)
        var (xx, yy, xy) = (0.0, 0.0, 0.0)
        for (a, b) in zip(x, y) {
            xx += (a - mx) * (a - mx)
            yy += (b - my) * (b - my)
            xy += (a - mx) * (b - my)
        }
        let scale = (xx * yy).squareRoot()
        return scale > 1e-300 ? max(-1, min(1, xy / scale)) : nil
    }

    /// Ranks from 1; equal values share their mean rank.
    package static func ranks(_ values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Double](repeating: 0, count: values.count)
        var start = 0
        while start < order.count {
            var end = start + 1
            while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
            for place in start..<end { ranks[order[place]] = Double(start + end + 1) / 2 }
            start = end
        }
        return ranks
    }

    /// Calls `body` with the permutations of the tasks, the identity first: all of them, or a random sample.
    private static func permutations(_ count: Int, _ body: ([Int]) -> Void) {
        var order = Array(0..<count)
        guard count > largest else {
            func arrange(_ place: Int) {
                guard place < count else { return body(order) }
                for other in place..<count {
                    order.swapAt(place, other)
                    arrange(place + 1)
                    order.swapAt(place, other)
                }
            }
            return arrange(0)
        }
        body(order)
        var generator = Bootstrap(seed: 0, task: "order of tasks")
        for _ in 1..<(2...largest).reduce(1, *) {
            for place in stride(from: count - 1, to: 0, by: -1) {
                order.swapAt(place, generator.draw(below: place + 1))
            }
            body(order)
        }
    }
}
