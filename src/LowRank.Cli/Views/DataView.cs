using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using LowRank.Cli.Common;
using LowRank.Recipes.Review;

namespace LowRank.Cli.Views;

/// <summary>What a model will see of the data, as text: what is learned in colour, or in brackets where there is
/// none.</summary>
/// <param name="output">Where to.</param>
/// <param name="coloured">Whether colours are seen.</param>
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

    /// <summary>Whether standard output shows colours (https://no-color.org).</summary>
    public static bool IsColoured =>
        Screen.IsLive && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    public static void Json(DataReview review) => Console.WriteLine(JsonSerializer.Serialize(review, Names));

    public void Show(DataReview review)
    {
        foreach (string note in review.Notes) output.WriteLine("note: " + VisibleText.Of(note));
        foreach (ReviewedRows part in review.Training)
            Show(part, review.Training.Count > 1 ? $"To learn from: {part.Name}" : "To learn from");
        if (review.Validation is { } validation) Show(validation, "Held out");
        if (review.Leaks is { } leaks) Show(leaks);
    }

    private void Show(ReviewedRows part, string title)
    {
        output.WriteLine();
        output.WriteLine(coloured ? Bold + VisibleText.Of(title) + Plain : VisibleText.Of(title));
        Line("rows", $"{part.Rows:n0}{(part.IsPartial ? " (the first; more follow)" : "")}");
        if (part.WrongRows > 0) Line("rows that cannot be used", $"{part.WrongRows:n0}");
        foreach (string problem in part.Problems) output.WriteLine("    " + VisibleText.Of(problem));
        Line("tokens",
            $"{part.Tokens:n0}, of which {part.LearnedTokens:n0} are learned " +
            $"({Share(part.LearnedTokens, part.Tokens)})");
        Line("length",
            $"half of the rows have up to {part.MedianLength:n0} tokens, 95 % up to {part.Percentile95:n0}, the " +
            $"longest {part.LongestRow:n0}");
        if (part.CutRows > 0)
            Line($"cut at max_length {part.MaxLength}",
                $"{part.CutRows:n0} rows lose {part.CutTokens:n0} tokens ({Share(part.CutTokens, part.Tokens)} of " +
                $"all), {part.CutLearnedTokens:n0} of them learned");
        else Line($"cut at max_length {part.MaxLength}", "nothing");
        if (part.NeverLearned > 0)
            Line("rows that teach nothing once cut",
                $"{part.NeverLearned:n0}: " +
                $"{string.Join(", ", part.NeverLearnedPlaces)}{(part.NeverLearned > part.NeverLearnedPlaces.Count ? ", …" : "")}");
        Line("duplicates",
            $"{part.Duplicates:n0} rows were there before, {part.NearDuplicates:n0} more but for case, blanks and " +
            "punctuation");
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
        foreach (LengthBin bin in part.Lengths)
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
        foreach (ReviewedPiece piece in example.Pieces)
        {
            string words = piece.Text.Length <= left ? piece.Text : piece.Text[..left] + " …";
            left -= Math.Min(left, piece.Text.Length);
            if (!piece.IsLearned) text.Append(VisibleText.Of(words));
            // A colour goes from line to line anew: pagers end it with the line.
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
            output.WriteLine("No held-out row is among those to learn from, nor is any held-out prompt.");
            return;
        }
        output.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"Held out and learned from as well: {leaks.Exact:n0} rows, {leaks.Normalized:n0} more but for " +
                $"case, blanks and punctuation; {leaks.Prompts:n0} more share a prompt."));
        foreach (string place in leaks.Places) output.WriteLine("    " + VisibleText.Of(place));
        output.WriteLine(
            "What is measured on them says little of what was learned. data.validation_share keeps equal rows on " +
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
