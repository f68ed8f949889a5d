import Files

/// A token merging that was chosen for a model in eight bits, and how many labels it keeps.
package struct KeptTokenMerging: Sendable, Equatable {
    /// How many tokens each block merges; it may be none.
    package let schedule: TokenMerging
    /// The mean share of labels that it was to keep.
    package let required: Double
    /// Multiplications and additions of a pass, as a share of those without it.
    package let cost: Double
    /// How many labels are the same as in f32 with all tokens, on images that it was not chosen by.
    package let agreement: LabelAgreement

    /// A token merging with what is known of it.
    package init(_ schedule: TokenMerging, required: Double, cost: Double, agreement: LabelAgreement) {
        (self.schedule, self.required, self.cost, self.agreement) = (schedule, required, cost, agreement)
    }

    /// Whether it keeps as many labels as it was to.
    package var isSufficient: Bool { !agreement.tasks.isEmpty && agreement.mean >= required }

    /// The same for some tasks only.
    package func of(_ tasks: [String]) -> KeptTokenMerging {
        KeptTokenMerging(schedule, required: required, cost: cost, agreement: agreement.of(tasks))
    }

    /// It as JSON, for the metadata of a file.
    var text: String {
        JSON.object([
            "merged": .array(schedule.counts.map(JSON.int)), "keep": .double(required), "cost": .double(cost),
            "agreement": agreement.json,
        ]).serialized(indented: false)
    }

    /// Reads what `text` gives; nil when the text is something else.
    init?(text: String) {
        guard let object = (try? JSON(parsing: Array(text.utf8)))?.objectValue,
            let values = object["merged"]?.arrayValue, let cost = object["cost"]?.doubleValue,
            let required = object["keep"]?.doubleValue,
            let agreement = object["agreement"].flatMap(LabelAgreement.init(_:))
        else { return nil }
        let counts = values.compactMap(\.intValue)
        guard counts.count == values.count else { return nil }
        self.init(TokenMerging(counts), required: required, cost: cost, agreement: agreement)
    }
}
