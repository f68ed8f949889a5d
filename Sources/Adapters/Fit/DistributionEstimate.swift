import Compute
import Tensors
import VisionTransformers

/// Estimates the distribution of image summaries.
enum DistributionEstimate {
    /// The most principal directions that are kept. With 128 the six sample tasks are told apart as well as with all
    /// 384; ViT-B/16 takes 0.8 MB for each task.
    static let largestRank = 128

    /// The distribution of some sets of summaries, each set counting as much as the others.
    ///
    /// The covariance is shrunk towards a multiple of the identity by as much as is best for its squared error (Ledoit
    /// and Wolf 2004). Then its largest principal directions are kept, and the variance in all others is their mean.
    ///
    /// - Throws: `ComputeError` for summaries that are not finite.
    static func distribution(_ sets: [FeatureTable]) throws -> SummaryDistribution {
        let sets = sets.filter { $0.rows > 0 }
        let width = sets.first?.width ?? 0
        var rows = Matrix(rows: sets.reduce(0) { $0 + $1.rows }, columns: width)
        rows.values = sets.flatMap { $0.values.lazy.map(Double.init) }
        let weights = sets.flatMap { set in
            repeatElement(1 / (Double(set.rows) * Double(sets.count)), count: set.rows)
        }
        var mean = [Double](repeating: 0, count: width)
        for (row, weight) in weights.enumerated() {
            for column in 0..<width { mean[column] += weight * rows[row, column] }
        }
        for row in 0..<rows.rows {
            for column in 0..<width { rows[row, column] -= mean[column] }
        }
        let (covariance, average, shrinkage) = moments(rows, weights)
        let rank = max(min(largestRank, rows.rows - 1, width - 1), 0)
        let directions = rank > 0 ? try covariance.leadingEigenvectors(rank) : Matrix(rows: 0, columns: width)
        let images = rank > 0 ? directions * covariance : directions
        var variances = (0..<rank).map { index in
            let variance = (0..<width).reduce(0.0) { $0 + images[index, $1] * directions[index, $1] }
            return max((1 - shrinkage) * variance + shrinkage * average, average * smallest)
        }
        let rest = (average * Double(width) - variances.reduce(0, +)) / Double(max(width - rank, 1))
        variances.append(max(rest, average * smallest, .leastNormalMagnitude))
        return SummaryDistribution(
            mean: mean.map { Float($0) }, directions: directions.values.map { Float($0) },
            variances: variances.map { max(Float($0), smallestVariance) })
    }

    /// The covariance of centred rows, the mean of its eigenvalues, and how far it is to be shrunk, 0 to 1.
    static func moments(_ rows: Matrix, _ weights: [Double]) -> (Matrix, average: Double, shrinkage: Double) {
        let width = rows.columns
        var weighted = rows
        for (row, weight) in weights.enumerated() {
            for column in 0..<width { weighted[row, column] *= weight }
        }
        let covariance = Matrix.product(weighted, transposed: true, rows)
        let average = (0..<width).reduce(0.0) { $0 + covariance[$1, $1] } / Double(max(width, 1))
        let square = covariance.values.reduce(0) { $0 + $1 * $1 }
        let distance = square - Double(width) * average * average
        // The squared error of the covariance: Σ w² ‖x xᵀ - S‖².
        let products = rows * covariance
        var error = 0.0
        for (row, weight) in weights.enumerated() {
            var (norm, mixed) = (0.0, 0.0)
            for column in 0..<width {
                norm += rows[row, column] * rows[row, column]
                mixed += rows[row, column] * products[row, column]
            }
            error += weight * weight * (norm * norm - 2 * mixed + square)
        }
        return (covariance, average, distance > 0 ? min(max(error / distance, 0), 1) : 1)
    }

    /// A variance is at least this share of the mean variance.
    private static let smallest = 1e-6
    /// Keeps the inverse of a variance finite where images are all the same.
    private static let smallestVariance: Float = 1e-12
}
