/// A part of a data set, as the name of a folder tells it.
package enum DataSplit: String, Sendable, CaseIterable {
    /// What is learned from.
    case training
    /// What choices are made by.
    case validation
    /// What results are measured on, and nothing else is done with.
    case test

    /// The usual names, in lower case and without separators.
    private static let names: [String: DataSplit] = [
        "train": .training, "training": .training, "trn": .training,
        "val": .validation, "vali": .validation, "valid": .validation, "validate": .validation,
        "validation": .validation, "dev": .validation, "development": .validation, "eval": .validation,
        "evaluate": .validation, "evaluation": .validation,
        "test": .test, "tests": .test, "testing": .test, "tst": .test, "holdout": .test, "heldout": .test,
    ]

    /// The name that messages give its folder.
    package var usualName: String {
        switch self {
        case .training: "train"
        case .validation: "val"
        case .test: "test"
        }
    }

    /// Words beside a split's name that change nothing: "train_set", "test images".
    private static let fillers: Set<String> = [
        "set", "sets", "split", "subset", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures",
        "photo", "photos", "sample", "samples", "example", "examples", "folder", "dir",
    ]

    /// The split that a folder's name stands for: a usual name in any case, with or without words such as "set" or
    /// "images" and numbers ("Training Set", "val2017"). Nil for any other name.
    package init?(name: String) {
        let words = DataSplit.words(of: name).filter { !DataSplit.fillers.contains($0) }
        guard let split = DataSplit.names[words.joined()] ?? DataSplit.compound(words.joined()) else { return nil }
        self = split
    }

    /// Whether a word of the name is a split's, whatever stands beside it: "seg_train", "flowers-test".
    static func isNamed(in name: String) -> Bool {
        if DataSplit(name: name) != nil { return true }
        let words = words(of: name)
        return words.contains { names[$0] != nil || compound($0) != nil }
            || zip(words, words.dropFirst()).contains { names[$0 + $1] != nil }
    }

    /// The split of a word such as "trainset".
    private static func compound(_ word: String) -> DataSplit? {
        for filler in fillers where word.hasSuffix(filler) {
            if let split = names[String(word.dropLast(filler.count))] { return split }
        }
        return nil
    }

    /// The words of a name, in lower case: stretches of letters, divided where a capital follows a small letter.
    private static func words(of name: String) -> [String] {
        var words: [String] = []
        var (word, isAfterSmall) = ("", false)
        for character in name {
            if !character.isLetter || (character.isUppercase && isAfterSmall) {
                if !word.isEmpty { words.append(word) }
                word = ""
            }
            if character.isLetter { word += character.lowercased() }
            isAfterSmall = character.isLowercase
        }
        return word.isEmpty ? words : words + [word]
    }
}
