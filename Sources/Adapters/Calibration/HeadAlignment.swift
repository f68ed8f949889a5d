import Compute
import Files
import Tensors
package import VisionTransformers

/// Head alignment: an affine map from the merged backbone's features to those of a task's single adapter, found in
/// closed form on unlabelled images and folded into the task's head.
///
/// The map reads all parts of the merged features (see `FeatureParts`): the mean of the patch tokens
/// knows much of what merging took from the CLS token. With z the standardised merged features and y the single
/// adapter's, it is the ridge regression argmin Σ ‖y - Mz‖² + λ ‖M - M₀‖², where M₀ keeps the part that the head read
/// before. λ is the one whose answers are nearest to the single adapter's on images that were held out.
package struct HeadAlignment: Sendable {
    /// A task's aligned head and how well it answers.
    package struct Result: Sendable {
        /// The head with the map folded in, or the task's own if that is kept.
        package private(set) var head: Head
        /// The task's own head, as far as it can read the merge's features.
        let own: Head
        /// Whether the task's own head is kept as it was, because alignment does not make it better.
        package private(set) var isKept = false
        /// The same, found without the held-out images.
        let fitted: Head
        /// The ridge that was chosen, as a share of the mean eigenvalue of the features' covariance.
        package let ridge: Double
        /// The images that were used.
        package let images: Int
        /// On held-out images, the task's own head on the merged backbone.
        package let before: Agreement
        /// On held-out images, the aligned head.
        package let after: Agreement

        /// What the merge made of all images, if summaries of them were asked for.
        package internal(set) var seen: CalibrationImages.Tables?

        /// On held-out images, the head that is used.
        package var agreement: Agreement { isKept ? before : after }

        /// Whether alignment makes held-out images better: more of them get the label of the single adapter, or as
        /// many, with answers that diverge less.
        package var isBetter: Bool {
            after.sameLabel == before.sameLabel
                ? after.divergence < before.divergence - Self.roundingError : after.sameLabel > before.sameLabel
        }

        /// Nats by which the divergence of equal answers can seem to change.
        private static let roundingError = 1e-9

        /// The same with the task's own head instead of the aligned one.
        var keepingOwn: Result {
            var result = self
            (result.head, result.isKept) = (own, true)
            return result
        }
    }

    /// The ridges that are tried unless others are given.
    static let ridges = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1]

    /// The rank that the map may differ from M₀ by, or nil for any.
    package let rank: Int?
    private let ridges: [Double]

    /// An alignment; of full rank unless a rank is given.
    package init(rank: Int? = nil) { (self.rank, ridges) = (rank, Self.ridges) }

    /// An alignment with features that are nearly those of the single adapter, on few images: larger ridges are tried,
    /// too.
    package static let ofNearFeatures = HeadAlignment(ridges: ridges.filter { $0 >= 0.01 } + [3, 10, 30])

    private init(ridges: [Double]) { (rank, self.ridges) = (nil, ridges) }

    /// Aligns one head.
    ///
    /// - Parameters:
    ///   - teacher: the task's own head.
    ///   - merged: the merged backbone's features of the fitted and of the held-out images.
    ///   - single: the single adapter's of the same images.
    package func align(
        _ teacher: Head, merged: (fitted: FeatureTable, heldOut: FeatureTable),
        single: (fitted: FeatureTable, heldOut: FeatureTable)
    ) throws -> Result {
        let outputs = teacher.weight.shape[1]
        let fitted = Moments(merged.fitted, single.fitted, outputs: outputs)
        // A stream gives CLS alone: what else the head reads is its average there.
        let isNarrow = merged.fitted.width < outputs
        let own = try isNarrow ? fold(start(fitted), fitted, into: teacher) : teacher
        let before = Agreement(own, merged.heldOut, teacher: teacher, single.heldOut)
        var best: (ridge: Double, head: Head, agreement: Agreement)?
        for (index, ridge) in ridges.enumerated() {
            try LongWork.report("trying ridges for \(teacher.task)", index, of: ridges.count)
            let head = try fold(try map(fitted, ridge: ridge), fitted, into: teacher)
            let agreement = Agreement(head, merged.heldOut, teacher: teacher, single.heldOut)
            if agreement.divergence < best?.agreement.divergence ?? .infinity { best = (ridge, head, agreement) }
        }
        guard let best else { throw ModelError(teacher.task, "head alignment: no images, or features not finite") }
        let all = fitted + Moments(merged.heldOut, single.heldOut, outputs: outputs)
        let kept = try isNarrow ? fold(start(all), all, into: teacher) : teacher
        let head = try fold(try map(all, ridge: best.ridge), all, into: teacher)
        return Result(
            head: head, own: kept, fitted: best.head, ridge: best.ridge, images: Int(all.count), before: before,
            after: best.agreement)
    }

    /// M₀ as (inputs, outputs) for standardised inputs.
    private func start(_ moments: Moments) -> Matrix {
        let (_, cross, scales) = moments.standardised()
        return Matrix.leading(scales, columns: cross.columns)
    }

    /// M as (inputs, outputs) for standardised inputs.
    private func map(_ moments: Moments, ridge: Double) throws -> Matrix {
        let (covariance, cross, _) = moments.standardised()
        let start = start(moments)
        var regular = covariance
        let mean = (0..<covariance.rows).reduce(0) { $0 + covariance[$1, $1] } / Double(covariance.rows)
        for index in 0..<regular.rows { regular[index, index] += ridge * max(mean, 1e-12) }
        var delta = try regular.solvePositiveDefinite(cross - covariance * start)
        if let rank, rank < min(delta.rows, delta.columns) {
            let svd = try delta.singularValueDecomposition()
            delta = svd.u.firstColumns(rank) * .diagonal(Array(svd.values[..<rank])) * svd.vt.firstRows(rank)
        }
        return start + delta
    }

    /// The head that first maps: W (M (f - f̄)/σ + ȳ) + b.
    private func fold(_ map: Matrix, _ moments: Moments, into head: Head) throws -> Head {
        let scales = moments.standardised().scales
        let (inputs, classes) = (map.rows, head.classes.count)
        var unscaled = map
        for row in 0..<inputs {
            for column in 0..<map.columns { unscaled[row, column] /= scales[row] }
        }
        let own = Matrix(rows: classes, columns: map.columns, values: head.weight.values.map(Double.init))
        let weight = Matrix.product(own, transposed: false, unscaled, transposed: true)
        var bias = head.bias.values.map(Double.init)
        for label in 0..<classes {
            for column in 0..<map.columns { bias[label] += own[label, column] * moments.meanOutput[column] }
            for column in 0..<inputs { bias[label] -= weight[label, column] * moments.meanInput[column] }
        }
        return try Head(
            task: head.task, classes: head.classes,
            weight: Tensor(shape: [classes, inputs], values: weight.values.map { Float($0) }),
            bias: Tensor(shape: [classes], values: bias.map { Float($0) }), activation: head.activation,
            path: "head alignment")
    }
}

extension Matrix {
    /// (scales, columns) with the scales of the first rows on its diagonal: what keeps the first features as they are.
    fileprivate static func leading(_ scales: [Double], columns: Int) -> Matrix {
        var matrix = Matrix(rows: scales.count, columns: columns)
        for index in 0..<min(scales.count, columns) { matrix[index, index] = scales[index] }
        return matrix
    }
}

/// First and second moments of features and targets, summed in double precision.
struct Moments: Sendable {
    private(set) var count: Double
    private var inputs: [Double]
    private var outputs: [Double]
    /// Σ x xᵀ.
    private var squares: Matrix
    /// Σ x yᵀ.
    private var cross: Matrix

    /// The moments of rows of features with the first `outputs` columns of their targets.
    init(_ features: FeatureTable, _ targets: FeatureTable, outputs width: Int) {
        count = Double(features.rows)
        inputs = [Double](repeating: 0, count: features.width)
        outputs = [Double](repeating: 0, count: width)
        let x = Matrix(rows: features.rows, columns: features.width, values: features.values.map(Double.init))
        var y = Matrix(rows: features.rows, columns: width)
        for row in 0..<features.rows {
            for column in 0..<width { y[row, column] = Double(targets.values[row * targets.width + column]) }
            for column in 0..<features.width { inputs[column] += x[row, column] }
            for column in 0..<width { outputs[column] += y[row, column] }
        }
        squares = .product(x, transposed: true, x)
        cross = .product(x, transposed: true, y)
    }

    /// The moments of both sets of rows together.
    static func + (a: Moments, b: Moments) -> Moments {
        var sum = a
        sum.count += b.count
        sum.inputs = zip(a.inputs, b.inputs).map(+)
        sum.outputs = zip(a.outputs, b.outputs).map(+)
        sum.squares = a.squares + b.squares
        sum.cross = a.cross + b.cross
        return sum
    }

    /// The mean features.
    var meanInput: [Double] { inputs.map { $0 / max(count, 1) } }

    /// The mean targets.
    var meanOutput: [Double] { outputs.map { $0 / max(count, 1) } }

    /// The covariance of the features and their cross-covariance with the targets, features divided by their
    /// deviations.
    func standardised() -> (covariance: Matrix, cross: Matrix, scales: [Double]) {
        let (mx, my) = (meanInput, meanOutput)
        let n = max(count, 1)
        let scales = mx.indices.map { max(squares[$0, $0] / n - mx[$0] * mx[$0], 1e-18).squareRoot() }
        var (covariance, between) = (squares, cross)
        for row in mx.indices {
            for column in mx.indices {
                covariance[row, column] =
                    (squares[row, column] / n - mx[row] * mx[column]) / (scales[row] * scales[column])
            }
            for column in my.indices {
                between[row, column] = (cross[row, column] / n - mx[row] * my[column]) / scales[row]
            }
        }
        return (covariance, between, scales)
    }
}
