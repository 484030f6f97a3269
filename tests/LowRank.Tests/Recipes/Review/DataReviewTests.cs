using LowRank.Cli.Views;
using LowRank.Recipes;
using LowRank.Recipes.Review;
using LowRank.Tests.Data.Rows;

namespace LowRank.Tests.Recipes.Review;

public sealed class DataReviewTests : IDisposable
{
    private readonly DataFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Counts_are_those_of_the_rows()
    {
        string long20 = string.Join(' ', Enumerable.Repeat("breakfast", 60));
        folder.Write("train.jsonl", $$"""
            {"prompt": "name: The Blue Lamp\n", "completion": "It is a hotel."}
            {"prompt": "name: The Blue Lamp\n", "completion": "It is a hotel."}
            {"prompt": "Name: The Blue  Lamp!\n", "completion": "It is a hotel"}
            {"prompt": "{{long20}}", "completion": "cheap"}
            {"text": "{{long20}}"}
            {"text": ""}
            {"text": "x", "prompt": 3, "completion": "y"}
            """);
        folder.Write("held.jsonl", """
            {"prompt": "name: The Blue Lamp\n", "completion": "It is a hotel."}
            {"prompt": "name the blue lamp\n", "completion": "it is a HOTEL."}
            {"prompt": "name: The Blue Lamp\n", "completion": "Pets are welcome."}
            {"prompt": "name: The Red Fox\n", "completion": "It is an inn."}
            """);
        DataReview review = Review("", 2);
        ReviewedRows rows = Assert.Single(review.Training);
        Assert.Equal((4L, 2L, 1L, 2L), (rows.Rows, rows.WrongRows, rows.NeverLearned, rows.CutRows));
        Assert.EndsWith("train.jsonl:4", Assert.Single(rows.NeverLearnedPlaces), StringComparison.Ordinal);
        Assert.Contains("train.jsonl:6: \"text\" is empty", rows.Problems[0], StringComparison.Ordinal);
        Assert.Equal((1L, 1L), (rows.Duplicates, rows.NearDuplicates));
        Assert.Equal(rows.Rows + rows.NeverLearned, rows.Lengths.Sum(bin => bin.Rows));
        Assert.True(rows.CutTokens > 0 && rows.CutLearnedTokens > 0 && rows.CutTokens > rows.CutLearnedTokens);
        Assert.Equal((1L, 1L, 1L), (review.Leaks!.Exact, review.Leaks.Normalized, review.Leaks.Prompts));
        Assert.EndsWith("train.jsonl:1", review.Leaks.Places[0], StringComparison.Ordinal);
        Assert.Equal(2, rows.Examples.Count);
        Assert.Equal([("name: The Blue Lamp\n", false), ("It is a hotel.<|end|>", true)],
            rows.Examples[0].Pieces.Select(piece => (piece.Text, piece.IsLearned)));
    }

    [Fact]
    public void What_mends_a_row_is_named_as_a_recipe_names_it()
    {
        folder.Write("train.jsonl", """
            {"text": "a"}
            {"text": "a"}
            {"prompt": "b"}
            """);
        folder.Write("held.jsonl", """{"text": "other"}""");
        DataReview review = Review(", deduplicate: true", 0);
        Assert.EndsWith("Use data.columns: {completion: COLUMN}.", Assert.Single(review.Training[0].Problems),
            StringComparison.Ordinal);
        Assert.Equal(["1 row was skipped as repeated (data.deduplicate)."], review.Training[0].Notes);
        string shown = Shown(review, coloured: false);
        Assert.Contains("Use data.columns: {completion: COLUMN}.\n", shown, StringComparison.Ordinal);
        Assert.Contains("  note: 1 row was skipped as repeated (data.deduplicate).\n", shown, StringComparison.Ordinal);
    }

    [Fact]
    public void The_view_marks_what_is_learned_with_and_without_colour_and_shows_no_control_characters()
    {
        folder.Write("train.jsonl", """{"prompt": "a\u001b[2J\n", "completion": "b\nc"}""");
        folder.Write("held.jsonl", """{"text": "other"}""");
        DataReview review = Review("", 1);
        string plain = Shown(review, coloured: false), coloured = Shown(review, coloured: true);
        Assert.Contains("│ ⟦b\n    │ c<|end|>⟧", plain, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', plain);
        Assert.Contains("a␛[2J", coloured, StringComparison.Ordinal);
        Assert.Contains(
            "│ \u001b[32mb\u001b[0m\n    │ \u001b[32mc<|end|>\u001b[0m", coloured, StringComparison.Ordinal);
        Assert.Contains("No held-out row and no held-out prompt occurs", plain, StringComparison.Ordinal);
    }

    [Fact]
    public void A_share_held_out_leaks_nothing_and_parts_with_weights_stand_alone()
    {
        string[] rows =
            [.. Enumerable.Range(0, 200).Select(i => $$"""{"text": "Row {{i % 150}} {{(i < 150 ? "!" : "?")}}"}""")];
        folder.Write("train.jsonl", string.Join('\n', rows));
        folder.Write("more.jsonl", """{"text": "another"}""");
        DataReview review = DataReviewer.Review(
            Recipe("data: {train: [train.jsonl, more.jsonl], weights: [1, 2], validation_share: 0.2}"), Model, 0, 1000);
        Assert.Equal(2, review.Training.Count);
        Assert.InRange(review.Validation!.Rows, 15, 75);
        Assert.Equal(201, review.Training.Sum(part => part.Rows) + review.Validation.Rows);
        Assert.Equal((0L, 0L), (review.Leaks!.Exact, review.Leaks.Normalized));
    }

    private static string Model => Path.Combine(RepositoryFiles.Root, "models", "base");

    private DataReview Review(string more, int examples) =>
        DataReviewer.Review(
            Recipe($"data: {{train: train.jsonl, validation: held.jsonl{more}}}\ntraining: {{max_length: 48}}"),
            Model, examples);

    private Recipe Recipe(string yaml) =>
        LowRank.Recipes.Recipe.Parse($"model: {Model}\noutput: out\n{yaml}\n", folder.Path);

    private static string Shown(DataReview review, bool coloured)
    {
        using var text = new StringWriter { NewLine = "\n" };
        new DataView(text, coloured).Show(review);
        return text.ToString();
    }
}
