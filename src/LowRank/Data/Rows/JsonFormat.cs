using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data.Rows;

/// <summary>JSON: a list of objects, or an object that holds one (<c>{"data": [{…}, …]}</c>); also one object per line,
/// as in many files with that extension.</summary>
internal sealed class JsonFormat : IRowFormat
{
    private const int Peeked = 1 << 20;
    private const string Expected =
        "Expected a list of objects, [{…}, …], or an object that holds one, {\"data\": [{…}, …]}.";

    public IReadOnlyList<string> Extensions { get; } = [".json"];

    public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems)
    {
        var peeked = new PeekedStream(content, Peeked);
        if (HoldsLines(peeked.Beginning)) return JsonLines.Read(peeked).Select(line => JsonLinesFormat.Row(line, path));
        IEnumerable<UnreadRow> elements = Elements(peeked, path, problems);
        if (!SquadRows.IsArticle(peeked.Beginning)) return elements;
        problems.Remark($"{path}: questions of SQuAD's own file are read as rows.");
        return SquadRows.Expand(elements, path, problems);
    }

    // The first line is a complete object, and another one follows.
    private static bool HoldsLines(ReadOnlySpan<byte> beginning)
    {
        if (beginning.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF])) beginning = beginning[3..];
        beginning = beginning.TrimStart(" \t\r\n"u8);
        int end = beginning.IndexOf((byte)'\n');
        if (end < 0 || beginning[0] != '{') return false;
        return beginning[end..].TrimStart(" \t\r\n"u8).StartsWith("{"u8) && IsOneLine(beginning);
    }

    /// <summary>Whether the first line is a complete value.</summary>
    public static bool IsOneLine(ReadOnlySpan<byte> beginning)
    {
        int end = beginning.IndexOf((byte)'\n');
        var reader = new Utf8JsonReader(end < 0 ? beginning : beginning[..end]);
        try
        {
            return reader.Read() && reader.TrySkip();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static IEnumerable<UnreadRow> Elements(Stream content, string path, DataProblems problems)
    {
        var list = new JsonList(content);
        bool any = false;
        while (true)
        {
            UnreadRow? row;
            try
            {
                row = list.Next(path);
            }
            catch (JsonException failure)
            {
                string reason = failure.Message.Split([" Path: ", " LineNumber: "], StringSplitOptions.None)[0]
                    .TrimEnd('.');
                problems.Add(new DataPlace(path, 0),
                    $"invalid JSON at or after line {list.Line} ({reason}). {Expected}");
                yield break;
            }
            if (row is null) break;
            any = true;
            yield return row;
            if (row is WrongRow && list.IsBroken) yield break;
        }
        if (list.Problem is { } problem) problems.Add(new DataPlace(path, 0), $"{problem} {Expected}");
        else if (!any && list.HasList) problems.Add(new DataPlace(path, 0), $"the list is empty. {Expected}");
    }
}

/// <summary>JSON Lines: one JSON object per line.</summary>
internal sealed class JsonLinesFormat : IRowFormat
{
    public IReadOnlyList<string> Extensions { get; } = [".jsonl", ".ndjson"];

    public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems) =>
        JsonLines.Read(content).Select(line => Row(line, path));

    public static UnreadRow Row(JsonLine line, string path) => line.IsTooLong
        ? new WrongRow(new DataPlace(path, line.Number), JsonLines.TooLong)
        : new JsonRow(new DataPlace(path, line.Number), line.Utf8, "line");
}

/// <summary>A row that is a JSON object.</summary>
/// <param name="place">The place of the row.</param>
/// <param name="utf8">The bytes; valid until the next row of the file.</param>
/// <param name="what">The word for it in messages: line or row.</param>
internal sealed class JsonRow(DataPlace place, ReadOnlyMemory<byte> utf8, string what) : UnreadRow(place)
{
    private static readonly UTF8Encoding Strict =
        new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false };

    public override long Bytes => utf8.Length;

    public override UnreadRow Keep() => new JsonRow(Place, utf8.ToArray(), what);

    public override JsonObject? Read(DataProblems problems)
    {
        try
        {
            JsonNode? node = JsonNode.Parse(Strict.GetString(utf8.Span), documentOptions: Options);
            if (node is JsonObject row)
            {
                CheckTexts(row);
                return row;
            }
            problems.Add(Place,
                $"the {what} is {Row.Describe(node)}, expected a JSON object such as {{\"text\": \"…\"}}.");
        }
        catch (DecoderFallbackException failure)
        {
            problems.Add(Place, $"byte {failure.Index + 1} of the {what} is not valid UTF-8. Save the file as UTF-8.");
        }
        catch (InvalidOperationException)
        {
            problems.Add(Place,
                "a text contains half of a surrogate pair (\\ud800 to \\udfff without its partner). Write the whole " +
                "character.");
        }
        catch (JsonException failure)
        {
            string reason = failure.Message.Split([" Path: ", " LineNumber: "], StringSplitOptions.None)[0]
                .TrimEnd('.');
            problems.Add(Place, $"invalid JSON at byte {failure.BytePositionInLine + 1} ({reason}). " +
                "Expected one JSON object on each line, such as {\"text\": \"…\"}.");
        }
        return null;
    }

    /// <summary>Decodes all texts now: otherwise they are decoded on first use, and an unpaired surrogate escape would
    /// fail far from its line.</summary>
    private static void CheckTexts(JsonNode? node)
    {
        if (node is JsonObject fields)
            foreach ((string _, JsonNode? field) in fields) CheckTexts(field);
        else if (node is JsonArray list)
            foreach (JsonNode? item in list) CheckTexts(item);
        else
            _ = Row.AsText(node);
    }
}

/// <summary>Reads the elements of a JSON list one by one, in memory that does not grow with the list.</summary>
internal sealed class JsonList(Stream stream)
{
    private const int LongestElement = JsonLines.LongestLine;
    private static readonly JsonReaderOptions Options = new() { MaxDepth = 64 };

    private byte[] buffer = new byte[1 << 16];
    private int begin, end;
    private bool atEnd, started, inList, done;
    private JsonReaderState state = new(Options);
    private string? listName;

    /// <summary>The current line, counted from 1.</summary>
    public long Line { get; private set; } = 1;

    /// <summary>The problem of the file as a whole, once its end is reached; null for none.</summary>
    public string? Problem { get; private set; }

    /// <summary>Whether there was a list.</summary>
    public bool HasList { get; private set; }

    /// <summary>Whether nothing more can be read.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>The next element; null at the end.</summary>
    /// <exception cref="JsonException">The text is not JSON.</exception>
    public UnreadRow? Next(string path)
    {
        while (!done)
        {
            if (!started && !Start()) continue;
            if (inList)
            {
                if (Element(path) is { } row) return row;
            }
            else if (!Step() && !Fill()) return TooLong(path);
        }
        return null;
    }

    private bool Start()
    {
        if (end - begin < 4 && !atEnd)
        {
            _ = Fill(); // four bytes are never too long
            return false;
        }
        if (buffer.AsSpan(begin, end - begin).StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF])) begin += 3;
        return started = true;
    }

    // Reads one token outside the list; false if more bytes are needed.
    private bool Step()
    {
        var reader = new Utf8JsonReader(buffer.AsSpan(begin, end - begin), atEnd, state);
        if (!reader.Read())
        {
            if (!atEnd) return false;
            Finish(null);
            return true;
        }
        JsonTokenType token = reader.TokenType;
        if (reader.CurrentDepth == 0
            && token is not (
                JsonTokenType.StartArray or JsonTokenType.StartObject or JsonTokenType.EndObject
                or JsonTokenType.EndArray))
            Finish($"the file is {(token is JsonTokenType.String ? "a text" : "one value")}.");
        else if (token == JsonTokenType.StartArray)
        {
            if (HasList)
                Finish($"the object contains two lists{(listName is null ? "" : $", the first \"{listName}\"")}. Put " +
                    "each into its own file.");
            (HasList, inList) = (true, true);
        }
        else if (token == JsonTokenType.PropertyName) return Property(ref reader);
        Advance(ref reader);
        return true;
    }

    // Reads a property of the outer object: enters a list, skips anything else.
    private bool Property(ref Utf8JsonReader reader)
    {
        string name = Encoding.UTF8.GetString(reader.ValueSpan); // for messages: invalid bytes are replaced
        JsonReaderState atName = reader.CurrentState;
        int consumed = (int)reader.BytesConsumed;
        if (!reader.Read()) return Unfinished();
        if (reader.TokenType == JsonTokenType.StartArray)
        {
            // Only the name has been read; the list's opening bracket is the next token.
            listName ??= name;
            state = atName;
            Count(consumed);
            return true;
        }
        if (!reader.TrySkip()) return Unfinished();
        Advance(ref reader);
        return true;
    }

    private bool Unfinished()
    {
        if (end - begin <= LongestElement) return false;
        IsBroken = true;
        Finish("the values beside the list are too large to skip.");
        return true;
    }

    private UnreadRow? Element(string path)
    {
        var reader = new Utf8JsonReader(buffer.AsSpan(begin, end - begin), atEnd, state);
        if (!reader.Read()) return Fill() ? null : TooLong(path);
        if (reader.TokenType == JsonTokenType.EndArray)
        {
            inList = false;
            Advance(ref reader);
            return null;
        }
        int start = (int)reader.TokenStartIndex;
        if (!reader.TrySkip()) return Fill() ? null : TooLong(path);
        int length = (int)reader.BytesConsumed - start, from = begin + start;
        state = reader.CurrentState;
        Count(start);
        var row = new JsonRow(new DataPlace(path, Line), buffer.AsMemory(from, length), "row");
        Count(length);
        return row;
    }

    private WrongRow TooLong(string path)
    {
        (IsBroken, done) = (true, true);
        return new WrongRow(
            new DataPlace(path, Line),
            $"the row has more than {LongestElement >> 20} MB, or there are as many blanks before it. Look for an " +
            "unclosed bracket or quote, or split the row.");
    }

    private void Finish(string? problem)
    {
        done = true;
        Problem = problem ?? (HasList ? null : "the file contains no list.");
    }

    private void Advance(ref Utf8JsonReader reader)
    {
        state = reader.CurrentState;
        Count((int)reader.BytesConsumed);
    }

    private void Count(int bytes)
    {
        Line += buffer.AsSpan(begin, bytes).Count((byte)'\n');
        begin += bytes;
    }

    // False if a row, or the text between rows, is too long. Fills the whole buffer: its content is read from the
    // beginning each time, so at most twice.
    private bool Fill()
    {
        if (atEnd) throw new JsonException("the file ends before the list does");
        if (end - begin > LongestElement) return false;
        byte[] target = end - begin > buffer.Length / 2 ? new byte[buffer.Length * 2] : buffer;
        buffer.AsSpan(begin, end - begin).CopyTo(target);
        (buffer, end, begin) = (target, end - begin, 0);
        int read = stream.ReadAtLeast(buffer.AsSpan(end), buffer.Length - end, throwOnEndOfStream: false);
        atEnd = read < buffer.Length - end;
        end += read;
        return true;
    }
}
