import Compute

extension MergeMethod {
    private static let corePaper = "Panariello et al., Core Space, NeurIPS 2025"

    /// The sum, computed in core space: task arithmetic, with the fewest factors.
    static let coreSum = core(
        "core-sum", "ΔW = s · U (Σ w_t M_t) V with ΔW_t = U M_t V", "\(corePaper); equal to sum"
    ) { slices in sum(slices) }

    /// TIES on the cores, each parameter for itself.
    static let coreTies = core(
        "core-ties", "ΔW = s · U TIES(w_t M_t) V with ΔW_t = U M_t V", "\(corePaper), with TIES (arXiv 2306.01708)",
        parameters: density(0.2, "share of a core's elements that is kept")
    ) { slices, density in
        TIES.disjointMean(slices, thresholds: slices.map { TIES.threshold($0, density: density) })
    }

    /// TSV-Merge of the cores.
    static let coreTSV = core(
        "core-tsv", "ΔW = s · U (P_U Σ P_Vᵀ) V, P the tasks' leading singular vectors of w_t M_t made orthonormal",
        "Gargiulo et al., Task Singular Vectors, CVPR 2025 (arXiv 2412.00081), in core space"
    ) { slices in try singularVectors(slices) }

    /// TSV-Merge of the cores, then all singular values made their mean.
    static let coreTSVIso = core(
        "core-tsv-iso", "ΔW = s · U iso(core-tsv) V, iso(PΣQᵀ) = mean(Σ) P Qᵀ",
        "\(corePaper), its best: TSV (arXiv 2412.00081), then isotropy (arXiv 2502.04959)"
    ) { slices in try singularVectors(slices).isotropic() }

    /// The sum of the cores with all singular values made their mean.
    static let coreIsoC = core(
        "core-iso-c", "ΔW = s · U iso(Σ w_t M_t) V, iso(PΣQᵀ) = mean(Σ) P Qᵀ",
        "Marczak et al., No Task Left Behind, ICML 2025 (arXiv 2502.04959), in core space"
    ) { slices in try sum(slices).isotropic() }

    /// Common directions of the sum and directions of each task alone, all with one singular value.
    static let coreIsoCTS = core(
        "core-iso-cts",
        "ΔW = s · mean(σ) · U (P Qᵀ) V, P and Q the leading directions of Σ w_t M_t, then those of each w_t M_t "
            + "outside them",
        "Marczak et al., No Task Left Behind, ICML 2025 (arXiv 2502.04959), in core space",
        parameters: .number(
            "common", default: 0.8, in: 0...1, candidates: [0, 0.2, 0.4, 0.6, 0.8, 1],
            "share of the directions that is common")
    ) { slices, common in try commonAndSpecific(slices, common: common) }

    /// A method that merges cores.
    private static func core<each Value: Sendable>(
        _ name: String, _ formula: String, _ source: String, parameters: repeat TypedParameter<each Value>,
        merge: @escaping @Sendable (_ slices: [Matrix], repeat each Value) throws -> Matrix
    ) -> MergeMethod {
        MergeMethod(name, formula: formula, source: source, parameters: repeat each parameters) {
            (inputs: Inputs, values: repeat each Value) in
            let values = (repeat each values)
            return try PerParameterDeltas(inputs.tasks).merged { _, parts in
                let space = try CoreSpace(parts.map(\.delta))
                return space.delta(try merge(space.slices, repeat each values))
            }
        }
    }

    private static func sum(_ slices: [Matrix]) -> Matrix {
        slices.dropFirst().reduce(slices.first ?? Matrix(rows: 0, columns: 0), +)
    }

    /// TSV-Merge: each task's leading singular vectors, made orthonormal together.
    ///
    /// A task keeps as many as its share of the core: all of them, unless the tasks' spaces overlap. For equal ranks
    /// that is the paper's share, an equal one.
    private static func singularVectors(_ slices: [Matrix]) throws -> Matrix {
        guard let first = slices.first else { return Matrix(rows: 0, columns: 0) }
        let decompositions = try slices.map { try $0.singularValueDecomposition() }
        let ranks = decompositions.map { $0.numericalRank(tolerance: CoreSpace.tolerance) }
        let (total, room) = (ranks.reduce(0, +), min(first.rows, first.columns))
        let counts = ranks.map { total > room ? min($0, max(1, $0 * room / total)) : $0 }
        let parts = zip(decompositions, counts).map { svd, count in
            (svd.u.firstColumns(count), Array(svd.values[..<count]), svd.vt.firstRows(count))
        }
        let u = try Matrix.side(bySide: parts.map(\.0)).orthogonalized()
        let vt = try Matrix.stacked(parts.map(\.2)).orthogonalized()
        return u * .diagonal(parts.flatMap(\.1)) * vt
    }

    /// Iso-CTS: the leading directions of the sum, and for each task those of its remainder outside them.
    private static func commonAndSpecific(_ slices: [Matrix], common share: Double) throws -> Matrix {
        let whole = try sum(slices).singularValueDecomposition()
        let room = whole.values.count
        let each = Int((Double(room - Int(share * Double(room))) / Double(max(slices.count, 1))).rounded())
        let common = min(
            max(0, room - each * slices.count), whole.numericalRank(tolerance: CoreSpace.tolerance))
        let basis = whole.u.firstColumns(common)
        var (us, vts) = ([basis], [whole.vt.firstRows(common)])
        var values = Array(whole.values[..<common])
        for slice in slices {
            let rest = slice - basis * .product(basis, transposed: true, slice)
            let svd = try rest.singularValueDecomposition()
            // The remainder of a task that lies in the common directions is rounding.
            let floor = CoreSpace.tolerance * slice.norm
            let count = min(each, svd.values.count { $0 > floor })
            us.append(svd.u.firstColumns(count))
            vts.append(svd.vt.firstRows(count))
            values += svd.values[..<count]
        }
        let mean = values.reduce(0, +) / Double(max(values.count, 1))
        return mean * (try Matrix.side(bySide: us).orthogonalized() * Matrix.stacked(vts).orthogonalized())
    }
}

/// The deltas of one parameter in the coordinates of the subspaces that they span: ΔW_t = u · slices[t] · v, without
/// loss.
///
/// Panariello et al., Accurate and Efficient Low-Rank Model Merging in Core Space, NeurIPS 2025. The bases are cut to
/// their numerical rank: a direction that holds nothing but rounding is arbitrary, and methods that give it weight, as
/// isotropic ones do, would add noise.
struct CoreSpace {
    /// A direction is kept when its singular value is above this share of the largest: more than the rounding of
    /// weights in single precision, which makes a copy of an adapter count as a copy.
    static let tolerance = 1e-7

    /// An orthonormal basis of the outputs' side, as columns.
    let u: Matrix
    /// An orthonormal basis of the inputs' side, as rows.
    let v: Matrix
    /// Each task's delta in these bases.
    let slices: [Matrix]

    /// The bases of the deltas and the deltas in them.
    ///
    /// - Throws: `ComputeError` for values that are not finite.
    init(_ deltas: [WeightDelta]) throws {
        let factors = try deltas.map { try $0.factors() }
        let left = try Matrix.side(bySide: factors.map(\.b)).columnSpace()
        let right = try Matrix.stacked(factors.map(\.a)).transposed.columnSpace()
        var slices: [Matrix] = []
        var start = 0
        for (b, _) in factors {
            let range = start..<start + b.columns
            slices.append(
                .product(
                    left.coordinates[columns: range], transposed: false, right.coordinates[columns: range],
                    transposed: true))
            start += b.columns
        }
        (u, v, self.slices) = (left.basis, right.basis.transposed, slices)
    }

    /// The delta with this core, in factors.
    func delta(_ core: Matrix) -> WeightDelta.Storage { .lowRank(b: u * core, a: v, scale: 1) }
}

extension Matrix {
    /// Left singular vectors as an orthonormal basis of the columns, and the columns' coordinates in it: self = basis ·
    /// coordinates, up to the tolerance.
    func columnSpace() throws(ComputeError) -> (basis: Matrix, coordinates: Matrix) {
        var (q, small) = (Matrix?.none, self)
        if rows > columns {
            let (orthonormal, triangle) = try qrDecomposition()
            (q, small) = (orthonormal, triangle)
        }
        let svd = try small.singularValueDecomposition()
        let rank = svd.numericalRank(tolerance: CoreSpace.tolerance)
        let vectors = svd.u.firstColumns(rank)
        return (q.map { $0 * vectors } ?? vectors, .product(vectors, transposed: true, small))
    }

    /// Some of the columns.
    subscript(columns range: Range<Int>) -> Matrix {
        Matrix(
            rows: rows, columns: range.count,
            values: (0..<rows).flatMap { values[$0 * columns + range.lowerBound..<$0 * columns + range.upperBound] })
    }

    /// The nearest matrix with orthonormal columns or rows (Procrustes): P · Qᵀ of the thin P · D · Qᵀ, cut to its
    /// numerical rank.
    func orthogonalized() throws(ComputeError) -> Matrix {
        let svd = try singularValueDecomposition()
        let rank = svd.numericalRank(tolerance: CoreSpace.tolerance)
        return svd.u.firstColumns(rank) * svd.vt.firstRows(rank)
    }

    /// The matrix with all singular values that are not rounding replaced by the mean over all of them.
    func isotropic() throws(ComputeError) -> Matrix {
        let svd = try singularValueDecomposition()
        let mean = svd.values.reduce(0, +) / Double(max(svd.values.count, 1))
        let rank = svd.numericalRank(tolerance: CoreSpace.tolerance)
        return mean * (svd.u.firstColumns(rank) * svd.vt.firstRows(rank))
    }
}
