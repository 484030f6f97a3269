using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace LowRank.Data.Chat;

/// <summary>Finds the tool convention of a chat template: renders a conversation with known calls and looks at what was
/// written around them.</summary>
internal sealed partial class ToolConventionProbe
{
    private const string Said = "probe-words", FirstName = "first_probe", SecondName = "second_probe",
        FirstId = "probeId01", SecondId = "probeId02", LongId = "call_abcdefghijklmnopqrstuvwx";

    // Marks that end a message with calls where others end in the end-of-turn token; the model stops there, and they
    // are no part of its text.
    private static readonly string[] EndsOfCalls = ["<|eom_id|>", "<|call|>"];

    private readonly IChatWriter writer;
    private readonly JsonArray? tools;
    private bool hasNullContent; // whether only a turn without content was written with its calls

    private ToolConventionProbe(IChatWriter writer, JsonArray? tools) => (this.writer, this.tools) = (writer, tools);

    /// <summary>Finds the convention.</summary>
    /// <param name="writer">The chat format.</param>
    /// <param name="obstacle">Why a conversation cannot have tools; null if it can.</param>
    /// <returns>The convention; null if the template shows none that can be read.</returns>
    public static ToolConvention? Find(IChatWriter writer, out string? obstacle)
    {
        JsonArray tools = [Tool(FirstName), Tool(SecondName)];
        if (Attempt(() => writer.Write(Question(), tools, new ChatWriting()), out obstacle) is not { } shown)
        {
            obstacle = $"the model's chat template does not accept tools: {obstacle}";
            return null;
        }
        if (!shown.Contains(SecondName, StringComparison.Ordinal))
        {
            obstacle = "the model's chat template does not show tools to the model";
            return null;
        }
        return FindForm(writer, tools, out obstacle);
    }

    /// <summary>Finds the form of calls, whether or not the template can show tools.</summary>
    /// <param name="writer">The chat format.</param>
    /// <param name="tools">The tools to render with; null for none.</param>
    /// <param name="obstacle">Why there is none; null if there is one.</param>
    internal static ToolConvention? FindForm(IChatWriter writer, JsonArray? tools, out string? obstacle)
    {
        ToolConvention? found = new ToolConventionProbe(writer, tools).Find();
        obstacle = found is null
            ? "the model's chat template does not show how the model writes a call, or shows a form whose beginning " +
              "is not marked or whose arguments are not JSON" : null;
        return found;
    }

    private ToolConvention? Find()
    {
        if (Calls(FirstId) is not { } one || Piece(one, FirstName, 0) is not { } call) return null;
        string beginning = Beginning(one);
        if (call.Name < beginning.Length) return null;
        string before = one[beginning.Length..call.Name], between = one[call.NameEnd..call.Arguments];
        foreach ((string open, string close) in ReasoningMarks.Known)
            before = Regex.Replace(before, $@"^\s*{Regex.Escape(open)}.*?{Regex.Escape(close)}", "",
                RegexOptions.Singleline | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        ToolConvention? single = Single(before, between, WithoutEnd(one[call.End..]));
        if (single is null) return null;
        return single with
        {
            HasNullContent = hasNullContent, Between = Between(single), HasShortIds = Calls(LongId) is null,
        };
    }

    private static ToolConvention? Single(string before, string between, string after)
    {
        Match head = ObjectHead().Match(before), middle = ObjectMiddle().Match(between),
            tail = ObjectTail().Match(after);
        if (head.Success && middle.Success && tail.Success)
            return new ToolConvention
            {
                Opening = before[..head.Index],
                BeforeName = head.Value,
                BeforeArguments = new CallText(between),
                AfterArguments = WithId(tail.Value),
                Closing = after[tail.Length..],
                Keys = new CallKeys(head.Groups["key"].Value, middle.Groups["key"].Value),
            };
        if (before.Trim().Length == 0 || between.Trim().Length == 0 || !IsMark(before) || before.EndsWith('"'))
            return null;
        return new ToolConvention
        {
            Opening = before,
            BeforeName = "",
            BeforeArguments = WithId(between),
            AfterArguments = new CallText(""),
            Closing = after,
        };
    }

    // What is written between two calls; null if the template refuses two.
    private string? Between(ToolConvention single)
    {
        if (Calls(FirstId, SecondId) is not { } two || Piece(two, FirstName, 0) is not { } first
            || Piece(two, SecondName, first.End) is not { } second) return null;
        string gap = two[first.End..second.Name];
        string tail = single.AfterArguments is { AfterId: { } rest } id ? id.Text + FirstId + rest
            : single.AfterArguments.Text;
        if (!gap.StartsWith(tail, StringComparison.Ordinal)) return null;
        gap = gap[tail.Length..];
        if (single.Keys is null) return gap;
        Match head = ObjectHead().Match(gap); // some number the calls, so it may differ from the first one's
        return head.Success && head.Groups["key"].Value == single.Keys.Name ? gap[..head.Index] : null;
    }

    // The text up to the assistant's words. The prompt may end in what a reply without thoughts begins with.
    private string Beginning(string text)
    {
        string prompt = Attempt(() => writer.Write(Question(), tools, new ChatWriting()), out _) ?? "";
        string spoken = Spoken();
        string head = spoken[..Math.Max(0, spoken.IndexOf(Said, StringComparison.Ordinal))];
        return new[] { prompt, head }.Where(start => text.StartsWith(start, StringComparison.Ordinal))
            .MaxBy(start => start.Length) ?? "";
    }

    // A text after the arguments without the end of the turn, which a turn of words shows.
    private string WithoutEnd(string text)
    {
        string spoken = Spoken();
        int at = spoken.IndexOf(Said, StringComparison.Ordinal);
        string[] end = at < 0 ? [] : Marks(spoken[(at + Said.Length)..]), whole = Marks(text);
        int shared = 0;
        while (shared < Math.Min(end.Length, whole.Length) && end[^(shared + 1)] == whole[^(shared + 1)]) shared++;
        string left = string.Concat(whole[..^shared]);
        foreach (string mark in EndsOfCalls)
            if (left.TrimEnd().EndsWith(mark, StringComparison.Ordinal)) left = left.TrimEnd()[..^mark.Length];
        return left;
    }

    private string Spoken() => Attempt(
        () => writer.Write([.. Question().Select(turn => turn?.DeepClone()), ChatFormats.Message("assistant", Said)],
            tools, new ChatWriting { ForReply = false }), out _) ?? "";

    // The rendering of a turn with calls; null if the template refuses it or does not write it.
    private string? Calls(params string[] ids)
    {
        foreach (string? content in new[] { "", null })
        {
            JsonObject turn = ChatFormats.Message("assistant", "");
            turn["content"] = content;
            turn["tool_calls"] = new JsonArray(
                [.. ids.Select((id, i) => Call(id, i == 0 ? FirstName : SecondName))]);
            JsonArray messages = [.. Question().Select(message => message?.DeepClone()), turn];
            string? text = Attempt(
                () => writer.Write(messages, tools, new ChatWriting { ForReply = false }), out _);
            if (text is null || Piece(text, ids.Length == 1 ? FirstName : SecondName, 0) is null) continue;
            hasNullContent = content is null;
            return text;
        }
        return null;
    }

    // The last place where a name stands before its arguments.
    private static CallPlace? Piece(string text, string name, int from)
    {
        Match arguments = ArgumentsOf(name).Match(text, from);
        if (!arguments.Success) return null;
        int at = text.LastIndexOf(name, arguments.Groups["arguments"].Index, StringComparison.Ordinal);
        return new CallPlace(at, at + name.Length, arguments.Groups["arguments"].Index,
            arguments.Index + arguments.Length);
    }

    private static Regex ArgumentsOf(string name) => new(
        $$"""{{name}}(?<between>(?:(?!{{name}}).){0,80}?)(?<arguments>\{\s*"{{name}}_key"\s*:\s*"{{name}}_value"\s*\})""",
        RegexOptions.Singleline | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));

    private static CallText WithId(string text)
    {
        int at = text.IndexOf(FirstId, StringComparison.Ordinal);
        return at < 0 ? new CallText(text) : new CallText(text[..at], text[(at + FirstId.Length)..]);
    }

    private static bool IsMark(string text) => text.AsSpan().IndexOfAny("<[|>]") >= 0;

    private static string[] Marks(string text) => [.. Mark().Matches(text).Select(match => match.Value)];

    private static JsonArray Question() => [ChatFormats.Message("user", "?")];

    private static JsonObject Tool(string name) => JsonNode.Parse($$$$"""
        {"type": "function", "function": {"name": "{{{{name}}}}", "description": "A probe.", "parameters":
          {"type": "object", "properties": {"{{{{name}}}}_key": {"type": "string", "description": "A value."}},
           "required": ["{{{{name}}}}_key"]}}}
        """)!.AsObject();

    private static JsonObject Call(string id, string name) => JsonNode.Parse($$$$"""
        {"id": "{{{{id}}}}", "type": "function", "function":
          {"name": "{{{{name}}}}", "arguments": {"{{{{name}}}}_key": "{{{{name}}}}_value"}}}
        """)!.AsObject();

    private static string? Attempt(Func<string> render, out string? refusal)
    {
        refusal = null;
        try
        {
            return render();
        }
        catch (InputException refused)
        {
            refusal = refused.Message.TrimEnd('.'); // the caller reports it, or tries another form
            return null;
        }
    }

    private sealed record CallPlace(int Name, int NameEnd, int Arguments, int End);

    [GeneratedRegex("""\{\s*(?:"[^"{}]*"\s*:\s*"[^"{}]*"\s*,\s*)*"(?<key>[^"{}]*)"\s*:\s*"$""",
        RegexOptions.ExplicitCapture)]
    private static partial Regex ObjectHead();

    [GeneratedRegex("""^"\s*,\s*"(?<key>[^"{}]*)"\s*:\s*$""", RegexOptions.ExplicitCapture)]
    private static partial Regex ObjectMiddle();

    [GeneratedRegex("""^\s*(?:,\s*"[^"{}]*"\s*:\s*"[^"{}]*"\s*)*\}""", RegexOptions.ExplicitCapture)]
    private static partial Regex ObjectTail();

    [GeneratedRegex(@"<[^<>\s]{1,60}>|\[/?[A-Z_]+\]|.", RegexOptions.Singleline)]
    private static partial Regex Mark();
}
