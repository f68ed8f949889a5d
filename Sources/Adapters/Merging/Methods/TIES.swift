import Compute

extension MergeMethod {
    /// The share of elements that trimming, or random dropping, keeps.
    static func density(_ defaultValue: Double, _ summary: String) -> TypedParameter<Double> {
        .number(
            "density", default: defaultValue, in: 0...1, isAboveLower: true,
            candidates: [0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1], summary)
    }

    /// TIES on the true deltas: a task keeps the largest of all its elements, whatever matrix they are in.
    static let ties = MergeMethod(
        "ties",
        formula: "ΔW = s · mean of the trimmed w_t ΔW_t that have the sign of their sum; trimmed over all of a task",
        source: "Yadav et al., TIES-Merging, NeurIPS 2023 (arXiv 2306.01708)",
        parameters: density(0.2, "share of a task's elements that is kept")
    ) { inputs, density in
        let matrices = PerParameterDeltas(inputs.tasks)
        let thresholds = try TIES.thresholds(matrices, density: density) { item, part in
            matrices.parameters[item].parts[part].delta.dense
        }
        return try matrices.merged { _, parts in
            .dense(TIES.disjointMean(parts.map(\.delta.dense), thresholds: parts.map { thresholds[$0.index] }))
        }
    }
}

/// The parts of TIES: trimming to the largest elements, electing a sign for each element, the mean of those that agree.
///
/// Yadav et al., TIES-Merging: Resolving Interference When Merging Models, NeurIPS 2023 (arXiv 2306.01708).
enum TIES {
    /// Per element, the mean of the values whose sign is that of their sum. Zeros take no part; where the sum is zero,
    /// so is the result.
    ///
    /// - Parameters:
    ///   - matrices: of one shape.
    ///   - thresholds: for each matrix, the magnitude below which an element counts as zero.
    static func disjointMean(_ matrices: [Matrix], thresholds: [Double]) -> Matrix {
        guard let first = matrices.first else { return Matrix(rows: 0, columns: 0) }
        let count = first.values.count
        var positive = [Double](repeating: 0, count: count)
        var negative = positive
        var positives = [Int32](repeating: 0, count: count)
        var negatives = positives
        for (matrix, threshold) in zip(matrices, thresholds) {
            matrix.values.withUnsafeBufferPointer { values in
                for index in 0..<count where abs(values[index]) >= threshold {
                    let value = values[index]
                    if value > 0 {
                        positive[index] += value
                        positives[index] += 1
                    } else if value < 0 {
                        negative[index] += value
                        negatives[index] += 1
                    }
                }
            }
        }
        for index in 0..<count {
            let sum = positive[index] + negative[index]
            if sum > 0 {
                positive[index] /= Double(positives[index])
            } else {
                positive[index] = sum < 0 ? negative[index] / Double(negatives[index]) : 0
            }
        }
        return Matrix(rows: first.rows, columns: first.columns, values: positive)
    }

    /// The magnitude of the k-th largest of a matrix, k being its share `density` of the elements; 0 when nothing is
    /// trimmed.
    static func threshold(_ matrix: Matrix, density: Double) -> Double {
        threshold(of: matrix.values.map(abs), keeping: count(density, of: matrix.values.count))
    }

    /// For every task, the magnitude of the k-th largest over all its matrices.
    ///
    /// Two passes that hold no copy: counts by exponent and leading digits first, then only the elements of the class
    /// in which the threshold lies.
    ///
    /// - Parameter values: a task's values in a parameter, by the parameter's index and the task's among its parts.
    static func thresholds(
        _ tasks: PerParameterDeltas, density: Double, values: @Sendable (_ item: Int, _ part: Int) throws -> Matrix
    ) throws -> [Double] {
        guard density < 1 else { return [Double](repeating: 0, count: tasks.taskCount) }
        let histograms = try tasks.map { item, _, parts in
            try parts.indices.map { part in histogram(try values(item, part).values) }
        }
        var counts = [[Int]](repeating: [], count: tasks.taskCount)
        for (parameter, histograms) in zip(tasks.parameters, histograms) {
            for (part, histogram) in zip(parameter.parts, histograms) {
                counts[part.index] = counts[part.index].isEmpty ? histogram : zip(counts[part.index], histogram).map(+)
            }
        }
        // The class that holds the k-th largest, and how many elements of it are kept.
        let classes = counts.map { counts -> (number: Int, keeping: Int) in
            var remaining = count(density, of: counts.reduce(0, +))
            for number in counts.indices.reversed() {
                if counts[number] >= remaining { return (number, remaining) }
                remaining -= counts[number]
            }
            return (0, 0)
        }
        let candidates = try tasks.map { item, _, parts in
            try parts.indices.map { part in
                let number = classes[parts[part].index].number
                return try values(item, part).values.lazy.map(abs).filter { classNumber($0) == number } as [Double]
            }
        }
        var gathered = [[Double]](repeating: [], count: tasks.taskCount)
        for (parameter, candidates) in zip(tasks.parameters, candidates) {
            for (part, values) in zip(parameter.parts, candidates) { gathered[part.index] += values }
        }
        return zip(gathered, classes).map { threshold(of: $0, keeping: $1.keeping) }
    }

    /// How many of `count` elements a share keeps, at least one.
    private static func count(_ density: Double, of count: Int) -> Int { max(1, Int(density * Double(count))) }

    private static func threshold(of magnitudes: [Double], keeping count: Int) -> Double {
        magnitudes.largest(count)
    }

    /// Exponent and the first five binary digits of a magnitude: ascending with it, below 65536.
    private static func classNumber(_ magnitude: Double) -> Int { Int(magnitude.bitPattern >> 47) & 0xFFFF }

    private static func histogram(_ values: [Double]) -> [Int] {
        var counts = [Int](repeating: 0, count: 1 << 16)
        for value in values { counts[classNumber(abs(value))] += 1 }
        return counts
    }
}

extension [Double] {
    /// The k-th largest value, k at least 1; the smallest when there are fewer, 0 of none.
    func largest(_ k: Int) -> Double {
        guard k < count else { return self.min() ?? 0 }
        // Quickselect on a copy: values[low...high] holds the result.
        var values = self
        let target = Swift.max(k, 1) - 1
        var (low, high) = (0, count - 1)
        while low < high {
            let pivot = values[low + (high - low) / 2]
            var (left, right) = (low, high)
            while left <= right {
                while values[left] > pivot { left += 1 }
                while values[right] < pivot { right -= 1 }
                if left <= right {
                    values.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if target <= right {
                high = right
            } else if target >= left {
                low = left
            } else {
                return values[target]
            }
        }
        return values[target]
    }
}
