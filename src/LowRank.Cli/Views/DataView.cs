using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using LowRank.Cli.Common;
using LowRank.Recipes.Review;

namespace LowRank.Cli.Views;

/// <summary>Shows as text what a model will see of the data, with the learned part in colour, or in brackets without
/// colours.</summary>
/// <param name="output">Receives the text.</param>
/// <param name="coloured">Whether to use colours.</param>
internal sealed class DataView(TextWriter output, bool coloured)
{
    private const int BarWidth = 40, LongestShown = 2000;
    private const string Green = "\u001b[32m", Bold = "\u001b[1m", Plain = "\u001b[0m";

    private static readonly JsonSerializerOptions Names = new()
    {
        WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new PlaceAsText() },
    };

    /// <summary>Whether standard output supports colours (https://no-color.org).</summary>
    public static bool IsColoured =>
        Screen.IsLive && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    public static void Json(DataReview review) => Console.WriteLine(JsonSerializer.Serialize(review, Names));

    public void Show(DataReview review)
    {
        foreach (string note in review.Notes) output.WriteLine("note: " + VisibleText.Of(note));
        foreach (ReviewedRows part in review.Training)
            Show(part, review.Training.Count > 1 ? $"Training data: {part.Name}" : "Training data");
        if (review.Validation is { } validation) Show(validation, "Held-out data");
        if (review.Leaks is { } leaks) Show(leaks);
    }

    private void Show(ReviewedRows part, string title)
    {
        output.WriteLine();
        output.WriteLine(coloured ? Bold + VisibleText.Of(title) + Plain : VisibleText.Of(title));
        Line("rows", $"{part.Rows:n0}{(part.IsPartial ? " (the first ones; there are more)" : "")}");
        if (part.WrongRows > 0) Line("rows that cannot be used", $"{part.WrongRows:n0}");
        foreach (string problem in part.Problems) output.WriteLine("    " + VisibleText.Of(problem));
        Line("tokens",
            $"{part.Tokens:n0}, {part.LearnedTokens:n0} of them learned ({Share(part.LearnedTokens, part.Tokens)})");
        Line("length",
            $"median {part.MedianLength:n0} tokens, 95th percentile {part.Percentile95:n0}, longest " +
            $"{part.LongestRow:n0}");
        if (part.CutRows > 0)
            Line($"cut at max_length {part.MaxLength}",
                $"{part.CutRows:n0} rows lose {part.CutTokens:n0} tokens ({Share(part.CutTokens, part.Tokens)} of " +
                $"all), {part.CutLearnedTokens:n0} of them learned");
        else Line($"cut at max_length {part.MaxLength}", "nothing");
        string more = part.NeverLearned > part.NeverLearnedPlaces.Count ? ", …" : "";
        if (part.NeverLearned > 0)
            Line("rows with nothing left to learn",
                $"{part.NeverLearned:n0}: {string.Join(", ", part.NeverLearnedPlaces)}{more}");
        Line("duplicates",
            $"{part.Duplicates:n0} rows repeat an earlier row, {part.NearDuplicates:n0} more differ only in case, " +
            "blanks and punctuation");
        foreach (string note in part.Notes) output.WriteLine("  note: " + VisibleText.Of(note));
        Histogram(part);
        foreach (ReviewedText example in part.Examples) Show(example);
    }

    private void Histogram(ReviewedRows part)
    {
        if (part.Lengths.Count == 0) return;
        long most = part.Lengths.Max(bin => bin.Rows);
        int digits = $"{part.Lengths[^1].To}".Length;
        output.WriteLine("  rows by length in tokens");
        foreach ((int From, int To, long Rows) bin in part.Lengths)
        {
            string range =
                $"{bin.From.ToString(CultureInfo.InvariantCulture).PadLeft(digits)} to " +
                $"{bin.To.ToString(CultureInfo.InvariantCulture).PadLeft(digits)}";
            int width = (int)Math.Ceiling((double)BarWidth * bin.Rows / most);
            output.WriteLine(
                $"    {range}  " +
                $"{new string('█', width)}{(bin.From > part.MaxLength - 1 && bin.Rows > 0 ? " (cut)" : "")} " +
                $"{bin.Rows.ToString("n0", CultureInfo.InvariantCulture)}");
        }
    }

    private void Show(ReviewedText example)
    {
        output.WriteLine();
        output.WriteLine(
            $"  {VisibleText.Of(example.Place.ToString())}: {example.Tokens} tokens, {example.Learned} learned " +
            $"({(coloured ? "green" : "in ⟦ ⟧")})");
        var text = new StringBuilder();
        int left = LongestShown;
        foreach ((string Text, bool IsLearned) piece in example.Pieces)
        {
            string words = piece.Text.Length <= left ? piece.Text : piece.Text[..left] + " …";
            left -= Math.Min(left, piece.Text.Length);
            if (!piece.IsLearned) text.Append(VisibleText.Of(words));
            // The colour is set again on every line, because pagers reset it at line ends.
            else if (coloured)
                text.Append(Green)
                    .Append(VisibleText.Of(words).Replace("\n", $"{Plain}\n{Green}", StringComparison.Ordinal))
                    .Append(Plain);
            else text.Append('⟦').Append(VisibleText.Of(words)).Append('⟧');
            if (left == 0) break;
        }
        if (example.Cut > 0) text.Append(CultureInfo.InvariantCulture, $" … {example.Cut} tokens are cut off");
        foreach (string line in text.ToString().Split('\n')) output.WriteLine("    │ " + line);
    }

    private void Show(DataLeaks leaks)
    {
        output.WriteLine();
        if (leaks.Exact + leaks.Normalized + leaks.Prompts == 0)
        {
            output.WriteLine("No held-out row and no held-out prompt occurs in the training data.");
            return;
        }
        output.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"Held-out rows that are also in the training data: {leaks.Exact:n0} rows, {leaks.Normalized:n0} " +
                $"more that differ only in case, blanks and punctuation; {leaks.Prompts:n0} more share a prompt."));
        foreach (string place in leaks.Places) output.WriteLine("    " + VisibleText.Of(place));
        output.WriteLine(
            "Measurements on these rows say little about what was learned. data.validation_share keeps equal rows on " +
            "one side.");
    }

    private void Line(string name, FormattableString text) => output.WriteLine($"  {name}: {Invariant(text)}");

    private void Line(string name, string text) => output.WriteLine($"  {name}: {VisibleText.Of(text)}");

    private static string Share(long part, long whole) => whole == 0 ? "0 %"
        : Invariant($"{100.0 * part / whole:0.##} %");

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private sealed class PlaceAsText : JsonConverter<Data.DataPlace>
    {
        public override Data.DataPlace Read(
            ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException();

        public override void Write(Utf8JsonWriter writer, Data.DataPlace value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.ToString());
    }
}
