import Files
import TestSupport
import Testing

@testable import Adapters

/// Tasks that were added, removed and renamed after a merge, as a recipe records them.
@Suite struct TaskChangesTests {
    private let merged = ["corn", "aerial", "trash"]

    private func changes(_ json: String = "{}") throws -> TaskChanges {
        let recipe = try #require(JSON(parsing: Array(json.utf8)).objectValue)
        return try TaskChanges(recipe, RecipeFields(path: "bundle.json"))
    }

    private func written(_ changes: TaskChanges) throws -> String {
        var recipe: JSONObject = ["removed": .array([])]
        changes.write(into: &recipe)
        let text = JSON.object(recipe).serialized(indented: false)
        #expect(try self.changes(text) == changes, "\(text)")
        return text
    }

    private func added(_ task: String, _ form: String) throws -> TaskChanges.Addition {
        let json = "{\"additions\": [{\"name\": \"\(task)\", \"path\": \"a\", \"sha256\": {\"a\": \"0\"}, \(form)}]}"
        return try #require(changes(json).additions.first)
    }

    @Test func nothingIsWrittenOfNothing() throws {
        #expect(try written(changes()) == "{}")
        #expect(try changes().isEmpty && changes().tasks(merged: merged) == merged)
    }

    @Test func namesThatComeBackLeaveNothing() throws {
        var all = try changes()
        all.rename(["corn": "aerial", "aerial": "corn"], groups: [merged])
        #expect(all.tasks(merged: merged) == ["aerial", "corn", "trash"])
        #expect(try written(all) == #"{"renamed": {"aerial": "corn", "corn": "aerial"}}"#)
        all.rename(["corn": "aerial", "aerial": "corn"], groups: [["aerial", "corn", "trash"]])
        #expect(try all.isEmpty && written(all) == "{}")
    }

    @Test func renamedTasksAreRemovedUnderTheirFirstName() throws {
        var all = try changes()
        all.rename(["corn": "maize"], groups: [merged])
        all.rename(["maize": "wheat"], groups: [["maize", "aerial", "trash"]])
        #expect(all.renamed == ["corn": "wheat"])
        all.remove("wheat", groups: [["wheat", "aerial", "trash"]])
        #expect(try written(all) == #"{"removed": ["corn"]}"#)
        #expect(all.tasks(merged: merged) == ["aerial", "trash"])
    }

    @Test func groupsOfTheMergeAreKeptWhereTheBundleDoesNotSayThem() throws {
        let groups = [["corn", "aerial"], ["trash"]]
        var all = try changes()
        all.rename(["corn": "maize"], groups: groups)
        all.remove("trash", groups: [["maize", "aerial"], ["trash"]])
        #expect(all.mergedGroups == groups)
        #expect(!all.isFirstGroupGone)
        all.remove("maize", groups: [["maize", "aerial"]])
        all.remove("aerial", groups: [["aerial"]])
        #expect(all.isFirstGroupGone)
        // One backbone says them itself.
        var one = try changes()
        one.remove("corn", groups: [merged])
        #expect(one.mergedGroups == nil)
    }

    @Test func theGroupOfAMergeIsKeptAsItWasMerged() throws {
        var all = try changes()
        all.rename(["corn": "maize"], groups: [merged])
        all.remove("trash", groups: [["maize", "aerial", "trash"]])
        all.add(try added("flowers", #""reads": "merge""#), groups: [["maize", "aerial"]])
        all.add(try added("plants", #""reads": "own""#), groups: [["maize", "aerial", "flowers"]])
        #expect(all.mergedGroups == [["corn", "aerial", "trash"]])
        #expect(all.tasks(merged: merged) == ["maize", "aerial", "flowers", "plants"])
    }

    @Test func additionsThatAreRemovedLeaveNothing() throws {
        for form in [#""reads": "merge""#, #""reads": "own""#, #""streams": {"rank": 4}"#] {
            var all = try changes()
            all.add(try added("flowers", form), groups: [merged])
            #expect(all.tasks(merged: merged) == merged + ["flowers"])
            #expect((all.mergedGroups != nil) == form.contains("own"))
            all.rename(["flowers": "plants"], groups: [merged + ["flowers"]])
            #expect(all.renamed.isEmpty && all.additions.map(\.task) == ["plants"])
            _ = try written(all)
            all.remove("plants", groups: [merged + ["plants"]])
            #expect(try all.isEmpty && written(all) == "{}")
        }
    }

    @Test func aNameThatIsFreeCanBeGivenAgain() throws {
        var all = try changes()
        all.rename(["corn": "maize"], groups: [merged])
        all.add(try added("corn", #""reads": "merge""#), groups: [["maize", "aerial", "trash"]])
        #expect(all.tasks(merged: merged) == ["maize", "aerial", "trash", "corn"])
        try all.check(merged: merged, path: "bundle.json")
        all.rename(["corn": "maize", "maize": "corn"], groups: [["maize", "aerial", "trash", "corn"]])
        #expect(all.tasks(merged: merged) == ["corn", "aerial", "trash", "maize"])
        #expect(all.renamed.isEmpty)
    }
}
