import Compute

extension MergeMethod {
    private static let paper = "Panariello et al., Core Space, NeurIPS 2025"

    /// The sum, computed in core space: task arithmetic, with the fewest factors.
    static let coreSum = core(
        "core-sum", "ΔW = s · U (Σ w_t M_t) V with ΔW_t = U M_t V", "\(paper); equal to sum"
    ) { slices, _ in sum(slices) }

    /// TIES on the cores, each parameter for itself.
    static let coreTies = core(
        "core-ties", "ΔW = s · U TIES(w_t M_t) V with ΔW_t = U M_t V", "\(paper), with TIES (arXiv 2306.01708)",
        [density(0.2, "share of a core's elements that is kept")]
    ) { slices, settings in
        TIES.disjointMean(
            slices, thresholds: slices.map { TIES.threshold($0, density: settings["density"]) })
    }

    /// TSV-Merge of the cores.
    static let coreTSV = core(
        "core-tsv", "ΔW = s · U (P_U Σ P_Vᵀ) V, P the tasks' leading singular vectors of w_t M_t made orthonormal",
        "Gargiulo et al., Task Singular Vectors, CVPR 2025 (arXiv 2412.00081), in core space"
    ) { slices, _ in try singularVectors(slices) }

    /// TSV-Merge of the cores, then all singular values made their mean.
    static let coreTSVIso = core(
        "core-tsv-iso", "ΔW = s · U iso(core-tsv) V, iso(PΣQᵀ) = mean(Σ) P Qᵀ",
        "\(paper), its best: TSV (arXiv 2412.00081), then isotropy (arXiv 2502.04959)"
    ) { slices, _ in try singularVectors(slices).isotropic() }

    /// The sum of the cores with all singular values made their mean.
    static let coreIsoC = core(
        "core-iso-c", "ΔW = s · U iso(Σ w_t M_t) V, iso(PΣQᵀ) = mean(Σ) P Qᵀ",
        "Marczak et al., No Task Left Behind, ICML 2025 (arXiv 2502.04959), in core space"
    ) { slices, _ in try sum(slices).isotropic() }

    /// Common directions of the sum and directions of each task alone, all with one singular value.
    static let coreIsoCTS = core(
        "core-iso-cts",
        "ΔW = s · mean(σ) · U (P Qᵀ) V, P and Q the leading directions of Σ w_t M_t, then those of each w_t M_t outside them",
        "Marczak et al., No Task Left Behind, ICML 2025 (arXiv 2502.04959), in core space",
        [
            Parameter(
                "common", default: 0.8, in: 0...1, candidates: [0, 0.2, 0.4, 0.6, 0.8, 1],
                "share of the directions that is common")
        ]
    ) { slices, settings in try commonAndSpecific(slices, common: settings["common"]) }

    /// A method that merges cores.
    private static func core(
        _ name: String, _ formula: String, _ source: String, _ parameters: [Parameter] = [],
        _ rule: @escaping @Sendable (_ slices: [Matrix], _ settings: MergeSettings) throws -> Matrix
    ) -> MergeMethod {
        MergeMethod(name: name, formula: formula, source: source, parameters: [scale] + parameters) { tasks, settings in
            try PerParameterDeltas(tasks, factor: settings["scale"]).merged { _, parts in
                let space = try CoreSpace(parts.map(\.delta))
                return space.delta(try rule(space.slices, settings), factor: settings["scale"])
            }
        }
    }

    private static func sum(_ slices: [Matrix]) -> Matrix {
        slices.dropFirst().reduce(slices.first ?? Matrix(rows: 0, columns: 0), +)
    }

    /// TSV-Merge: each task's leading singular vectors, made orthonormal together.
    ///
    /// A task keeps as many as its share of the core: all of them, unless the tasks' spaces overlap. For equal ranks that
    /// is the paper's share, an equal one.
    private static func singularVectors(_ slices: [Matrix]) throws -> Matrix {
        guard let first = slices.first else { return Matrix(rows: 0, columns: 0) }
        let decompositions = try slices.map { try $0.singularValueDecomposition() }
        let ranks = decompositions.map { $0.numericalRank(tolerance: CoreSpace.tolerance) }
        let (total, room) = (ranks.reduce(0, +), min(first.rows, first.columns))
        let kept = ranks.map { total > room ? min($0, max(1, $0 * room / total)) : $0 }
        let parts = zip(decompositions, kept).map { svd, count in
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
            // What is left of a task that lies in the common directions is rounding.
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
