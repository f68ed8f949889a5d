import Compute
import Tensors
import VisionTransformers

/// How PEFT took a part out of the base's weight when it made an adapter, for A and B to begin with that part.
///
/// The weight that the adapter was trained over is W₀ - b·a, so that of the adapter is W₀ - b·a + s·B·A. PEFT computes
/// b·a again whenever it loads the adapter, and so is it done here: in double precision, from the base's weight.
enum StartingPoint: String, Sendable, Equatable {
    /// The best approximation of rank r, U S V cut to the r largest singular values (PiSSA, arXiv 2404.02948).
    case pissa
    /// s · Q R cut to the first r columns of Q and rows of R, with W₀ = Q R (OLoRA, arXiv 2406.01775).
    case olora

    /// What it is called.
    var name: String { self == .pissa ? "PiSSA" : "OLoRA" }

    /// Reads `init_lora_weights` as PEFT does: the case of letters counts in one name, not in the other.
    init?(_ text: String) {
        if text == Self.pissa.rawValue {
            self = .pissa
        } else if text.lowercased() == Self.olora.rawValue {
            self = .olora
        } else {
            return nil
        }
    }

    /// The part that was taken out.
    struct Part: Sendable, Equatable {
        /// (outputs, r).
        var b: Matrix
        /// (r, inputs).
        var a: Matrix
        /// Whether rounding decides what it is: the singular values at rank r tie, or columns of the weight depend on
        /// each other. PEFT, in 32-bit floats, may then have found another one.
        var isAmbiguous: Bool
    }

    /// The part of a weight.
    ///
    /// - Parameters:
    ///   - weight: (outputs, inputs).
    ///   - rank: r; no more than the weight has counts.
    ///   - scale: s.
    /// - Throws: `ComputeError` of LAPACK.
    func part(of weight: Matrix, rank: Int, scale: Double) throws -> Part {
        let most = min(weight.rows, weight.columns)
        let rank = min(rank, most)
        switch self {
        case .pissa:
            // U S V cut to rank r is the projection of the weight on its r leading singular vectors, of either side.
            let isTall = weight.rows >= weight.columns
            let gram = Matrix.product(weight, transposed: isTall, weight, transposed: !isTall)
            let vectors = try gram.leadingEigenvectors(min(rank + 1, most))
            let kept = vectors.firstRows(rank)
            let images = Matrix.product(
                isTall ? weight : weight.transposed, transposed: false, vectors, transposed: true)
            let values = (0..<images.columns).map { column in
                (0..<images.rows).reduce(0) { $0 + images[$1, column] * images[$1, column] }.squareRoot()
            }
            let isTie = rank < most && values[rank - 1] - values[rank] <= 1e-5 * values[0]
            let projected = images.firstColumns(rank)
            return isTall
                ? Part(b: projected, a: kept, isAmbiguous: isTie)
                : Part(b: kept.transposed, a: projected.transposed, isAmbiguous: isTie)
        case .olora:
            // Q's first r columns depend on the weight's first r columns alone, and R's first r rows are Qᵀ W₀.
            let (q, r) = try weight.firstColumns(rank).qrDecomposition()
            let diagonal = (0..<rank).map { abs(r[$0, $0]) }
            let isDependent = (diagonal.min() ?? 0) <= 1e-6 * (diagonal.max() ?? 0)
            return Part(
                b: scale * q, a: Matrix.product(q, transposed: true, weight, transposed: false),
                isAmbiguous: isDependent)
        }
    }
}

extension Matrix {
    /// The elements of a weight, (outputs, all else).
    init(weight: Tensor) {
        let rows = weight.shape.first ?? 1
        self.init(rows: rows, columns: weight.count / max(rows, 1), values: weight.values.map(Double.init))
    }

    /// Some of the rows.
    func rows(_ range: Range<Int>) -> Matrix {
        Matrix(
            rows: range.count, columns: columns,
            values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
    }
}
