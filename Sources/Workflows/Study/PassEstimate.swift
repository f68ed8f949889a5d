import Training

/// How many image passes are made, and about how many are left.
struct PassEstimate {
    /// Passes that were made.
    private(set) var done = 0.0
    /// What was expected of the pieces that are not begun.
    private var open: Double
    /// What was expected of the piece under way, and what it took so far.
    private var piece = (expected: 0.0, made: 0.0)

    init(left: Double) { open = left }

    /// About how many are left.
    var left: Double { max(0, open) + max(0, piece.expected - piece.made) }

    /// Begins a piece of which so many passes were expected.
    mutating func begin(_ expected: Double) {
        open -= expected
        piece = (expected, 0)
    }

    /// Counts passes of the piece under way.
    mutating func pass(_ images: Int) {
        done += Double(images)
        piece.made += Double(images)
    }

    /// Ends the piece under way.
    mutating func end() { piece = (0, 0) }
}

extension StudyJob {
    /// About how many image passes a study needs that are not made yet.
    func cost(_ material: StudyInputs, _ store: StudyStore) -> Double {
        let counts = material.tasks.map { Double($0.pictures.pictures.count) }
        let base = needsBase(store) ? counts.reduce(0, +) : 0
        let alone = zip(plan.tasks, counts).reduce(base) { sum, task in
            sum + (store.result(Self.single, [task.0]) == nil ? task.1 : 0)
        }
        return plan.merges.compactMap { missing($0, in: store) }.reduce(alone) { $0 + cost($1, material) }
    }

    /// About how many image passes a merge needs.
    func cost(_ merge: StudyPlan.Merge, _ material: StudyInputs) -> Double {
        let (tuned, aligned) = (merge.variants.filter(\.tunes), merge.variants.filter(\.aligns))
        let scales = tuned.isEmpty ? 0 : 3 + Double(tuned.count)
        let fitted = tuned.contains(where: \.aligns) ? tuningImages : 0
        return merge.tasks.reduce(0) { sum, place in
            let task = material.tasks[place]
            let known = min(calibrationImages, task.images.training?.training.count ?? 0)
            let tuning = scales * Double(min(tuningImages, known / 5) + min(fitted, known))
            let measured = Double(merge.variants.count * task.pictures.pictures.count)
            return sum + tuning + measured + Double(aligned.count * known)
        }
    }
}
