using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data;

/// <summary>Reads JSONL files row by row; of a file that ends in .txt, lines <c>prompt||completion</c>, as the LoRA paper's E2E
/// data has them.</summary>
public static class SampleReader
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false };

    /// <summary>All rows of the files in their order.</summary>
    /// <exception cref="InputException">Files that cannot be read, lines that are no JSON objects: all at once.</exception>
    public static IReadOnlyList<Sample> ReadAll(IReadOnlyList<string> paths)
    {
        var problems = new DataProblems();
        List<Sample> samples = [.. paths.SelectMany(path => Read(path, problems))];
        problems.ThrowIfAny();
        return samples;
    }

    /// <summary>The rows of a file; lines that are none are noted and passed over.</summary>
    internal static IEnumerable<Sample> Read(string path, DataProblems problems)
    {
        if (!CanOpen(path, problems)) yield break;
        bool any = false;
        bool pairs = path.EndsWith(".txt", StringComparison.OrdinalIgnoreCase);
        foreach (JsonLine line in JsonLines.Read(path))
        {
            any = true;
            var place = new DataPlace(path, line.Number);
            if ((pairs ? Pair(line, place, problems) : Parse(line, place, problems)) is { } row) yield return new Sample(place, row);
        }
        if (!any) problems.Add(new DataPlace(path, 0), "the file has no rows. Expected one JSON object a line.");
    }

    private static bool CanOpen(string path, DataProblems problems)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            string found = failure is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : failure.Message.TrimEnd('.');
            problems.Add(new DataPlace(path, 0), $"{found}. Expected a JSONL file.");
            return false;
        }
    }

    // A line break parts prompt and completion: it tells the model where to begin.
    private static JsonObject? Pair(JsonLine line, DataPlace place, DataProblems problems)
    {
        string text;
        try
        {
            text = Strict.GetString(line.Utf8.Span);
        }
        catch (DecoderFallbackException failure)
        {
            problems.Add(place, $"byte {failure.Index + 1} of the line is no UTF-8. Save the file as UTF-8.");
            return null;
        }
        string[] sides = text.Split("||");
        if (sides.Length == 2 && sides.All(side => side.Trim().Length > 0))
            return new JsonObject { ["prompt"] = sides[0].Trim() + "\n", ["completion"] = sides[1].Trim() };
        problems.Add(place, $"the line has {sides.Length - 1} times \"||\"; expected prompt||completion. Rows of JSON belong into a file that ends in .jsonl.");
        return null;
    }

    private static JsonObject? Parse(JsonLine line, DataPlace place, DataProblems problems)
    {
        try
        {
            JsonNode? node = JsonNode.Parse(Strict.GetString(line.Utf8.Span), documentOptions: Options);
            if (node is JsonObject row)
            {
                CheckTexts(row);
                return row;
            }
            problems.Add(place, $"the line is {Sample.Describe(node)}, expected a JSON object such as {{\"text\": \"…\"}}.");
        }
        catch (DecoderFallbackException failure)
        {
            problems.Add(place, $"byte {failure.Index + 1} of the line is no UTF-8. Save the file as UTF-8.");
        }
        catch (InvalidOperationException)
        {
            problems.Add(place, "a text holds half of a surrogate pair (\\ud800 to \\udfff without its partner). Write the whole character.");
        }
        catch (JsonException failure)
        {
            string reason = failure.Message.Split([" Path: ", " LineNumber: "], StringSplitOptions.None)[0].TrimEnd('.');
            problems.Add(place, $"no valid JSON at byte {failure.BytePositionInLine + 1} ({reason}). " +
                "Expected one JSON object on each line, such as {\"text\": \"…\"}.");
        }
        return null;
    }

    /// <summary>Texts are decoded when they are first read: an unpaired surrogate escape would show far from its line.</summary>
    private static void CheckTexts(JsonNode? node)
    {
        if (node is JsonObject fields)
            foreach ((string _, JsonNode? field) in fields) CheckTexts(field);
        else if (node is JsonArray list)
            foreach (JsonNode? item in list) CheckTexts(item);
        else
            _ = Sample.AsText(node);
    }
}
