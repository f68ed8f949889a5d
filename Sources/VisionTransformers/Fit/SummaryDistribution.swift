import Compute
import Tensors

/// A normal distribution of image summaries: some principal directions with a variance each, and one variance for all
/// other directions.
package struct SummaryDistribution: Sendable {
    /// The mean, (F).
    let mean: FloatBuffer
    /// The principal directions, unit vectors, (r, F).
    let directions: FloatBuffer
    /// The variances in the principal directions, then that in all others, (r + 1).
    let variances: [Float]
    /// For each principal direction, its inverse variance less that of the others.
    private let factors: [Float]

    /// The number of elements of a summary, F.
    package var count: Int { mean.count }
    /// The number of principal directions, r.
    package var rank: Int { factors.count }

    /// How many bytes its numbers take in a file.
    package var byteCount: Int { 4 * (mean.count + directions.count + variances.count) }

    /// A distribution.
    ///
    /// - Parameters:
    ///   - mean: (F).
    ///   - directions: unit vectors, (r, F).
    ///   - variances: (r + 1), positive; the last is that of all other directions.
    package init(mean: [Float], directions: [Float], variances: [Float]) {
        precondition(
            !variances.isEmpty && directions.count == (variances.count - 1) * mean.count,
            "directions that do not fit the variances")
        self.mean = FloatBuffer(mean)
        self.directions = FloatBuffer(directions)
        self.variances = variances
        let rest = variances[variances.count - 1]
        factors = variances.dropLast().map { 1 / $0 - 1 / rest }
    }

    /// The squared Mahalanobis distance of a summary from the mean.
    ///
    /// - Parameter scratch: memory for F elements.
    func distance(_ summary: UnsafePointer<Float>, scratch: FloatBuffer) -> Float {
        let centred = scratch.base
        centred.update(from: summary, count: count)
        RowKernels.add(mean.base, times: -1, to: centred, count: count)
        var distance = RowKernels.dot(centred, centred, count: count) / variances[rank]
        for (index, factor) in factors.enumerated() {
            let part = RowKernels.dot(centred, directions.base + index * count, count: count)
            distance += factor * part * part
        }
        return distance
    }
}
