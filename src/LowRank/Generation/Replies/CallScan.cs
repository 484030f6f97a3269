using System.Text;
using System.Text.Json;
using LowRank.Data.Chat;

namespace LowRank.Generation.Replies;

/// <summary>Follows one call of a tool character by character, from after the convention's opening to the call's
/// end.</summary>
internal abstract class CallScan
{
    /// <summary>The longest name of a tool.</summary>
    public const int LongestName = 64;

    private readonly StringBuilder arguments = new();

    /// <summary>The tool's name; null until it is known.</summary>
    public string? Name { get; protected set; }

    /// <summary>The id that the model wrote before the arguments; null if it wrote none.</summary>
    public string? Id { get; protected set; }

    /// <summary>Whether the arguments have begun.</summary>
    public bool HasArguments => arguments.Length > 0;

    /// <summary>Whether the arguments are complete. A call whose name and arguments are complete counts, whatever
    /// follows: models forget the last brace.</summary>
    public bool HasAllArguments { get; protected set; }

    /// <summary>How many characters of the arguments there are so far.</summary>
    public int ArgumentsLength => arguments.Length;

    /// <summary>The arguments so far, JSON as written, from a character on.</summary>
    public string ArgumentsFrom(int start) => arguments.ToString(start, arguments.Length - start);

    /// <summary>A scan for a convention.</summary>
    public static CallScan Of(ToolConvention convention) =>
        convention.Keys is { } keys ? new ObjectCallScan(keys) : new MarkedCallScan(convention.BeforeArguments);

    /// <summary>Reads a character.</summary>
    /// <returns><see cref="JsonStep.End"/> for the last one of the call, never <see cref="JsonStep.Past"/>.</returns>
    public abstract JsonStep Read(char c);

    protected void Append(char c) => arguments.Append(c);

    protected void Append(string text) => arguments.Append(text);
}

/// <summary>A call that is a JSON object with a name and arguments. Further keys are ignored.</summary>
internal sealed class ObjectCallScan(CallKeys keys) : CallScan
{
    private readonly StringBuilder text = new(); // of a key or a value that is needed as a whole
    private State state = State.Before;
    private JsonScan value = new();
    private string key = "";
    private bool isStreamed; // the value is the arguments' object

    private enum State { Before, FirstKey, Key, Colon, BeforeValue, Value, After }

    public override JsonStep Read(char c)
    {
        bool isSpace = c is ' ' or '\t' or '\n' or '\r';
        switch (state)
        {
            case State.Before:
                return isSpace ? JsonStep.Inside : To(c == '{', State.FirstKey);
            case State.FirstKey or State.Colon or State.After when isSpace:
                return JsonStep.Inside;
            case State.FirstKey:
                return BeginKey(c);
            case State.Key:
                return ReadKey(c);
            case State.Colon:
                return To(c == ':', State.BeforeValue);
            case State.BeforeValue:
                return isSpace ? JsonStep.Inside : BeginValue(c);
            case State.Value:
                return ReadValue(c);
            default:
                return c == '}' ? End() : To(c == ',', State.FirstKey);
        }
    }

    private JsonStep BeginKey(char c)
    {
        (value, state) = (new JsonScan(), State.Key);
        text.Clear().Append(c);
        return c == '"' ? value.Read(c) : JsonStep.Wrong;
    }

    private JsonStep ReadKey(char c)
    {
        text.Append(c);
        JsonStep step = value.Read(c);
        if (step != JsonStep.End) return step;
        key = Decoded();
        return To(!(key == keys.Name && Name is not null) && !(key == keys.Arguments && HasArguments), State.Colon);
    }

    private JsonStep BeginValue(char c)
    {
        // Models also write the object as a text, or null for none.
        bool isRight = key == keys.Name ? c == '"' : key != keys.Arguments || c is '{' or '"' or 'n';
        if (!isRight) return JsonStep.Wrong;
        (value, state, isStreamed) = (new JsonScan(), State.Value, key == keys.Arguments && c == '{');
        text.Clear();
        return ReadValue(c);
    }

    private JsonStep ReadValue(char c)
    {
        JsonStep step = value.Read(c);
        if (step == JsonStep.Wrong) return step;
        if (step != JsonStep.Past && isStreamed) Append(c);
        else if (step != JsonStep.Past && (key == keys.Name || key == keys.Arguments)) text.Append(c);
        if (step == JsonStep.Inside) return step;
        state = State.After;
        if (!Take()) return JsonStep.Wrong;
        return step == JsonStep.Past ? Read(c) : JsonStep.Inside;
    }

    private bool Take()
    {
        if (key == keys.Name)
        {
            Name = Decoded();
            return Name.Length is > 0 and <= LongestName;
        }
        if (key != keys.Arguments) return true;
        if (isStreamed) return HasAllArguments = true;
        string written = text[0] == '"' ? Decoded() : "{}";
        if (string.IsNullOrWhiteSpace(written)) written = "{}";
        if (!IsObject(written)) return false;
        Append(written);
        return HasAllArguments = true;
    }

    private JsonStep End()
    {
        if (Name is null) return JsonStep.Wrong;
        if (!HasArguments) Append("{}");
        HasAllArguments = true;
        return JsonStep.End;
    }

    private JsonStep To(bool isRight, State next)
    {
        state = next;
        return isRight ? JsonStep.Inside : JsonStep.Wrong;
    }

    private string Decoded()
    {
        using JsonDocument document = JsonDocument.Parse(text.ToString());
        try
        {
            return document.RootElement.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return ""; // half a surrogate pair: no name, and no object
        }
    }

    private static bool IsObject(string json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            return document.RootElement.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            return false; // the caller takes the text as it is
        }
    }
}

/// <summary>A call whose name and arguments stand between marks, such as
/// <c>&lt;function=NAME&gt;{…}&lt;/function&gt;</c>.</summary>
internal sealed class MarkedCallScan(CallText beforeArguments) : CallScan
{
    private readonly StringBuilder text = new();
    private readonly JsonScan value = new();
    private State state = State.Name;
    private MarkMatch? mark, direct; // the mark before the id or the arguments; the mark after an id, without one

    private enum State { Name, Mark, Id, AfterId, BeforeArguments, Arguments }

    public override JsonStep Read(char c)
    {
        switch (state)
        {
            case State.Name:
                return ReadName(c);
            case State.Mark:
                return ReadMark(c);
            case State.Id when char.IsAsciiLetterOrDigit(c) || c is '-' or '_':
                text.Append(c);
                return text.Length <= LongestName ? JsonStep.Inside : JsonStep.Wrong;
            case State.Id:
                Id = text.ToString();
                (state, mark) = (State.AfterId, new MarkMatch(beforeArguments.AfterId!));
                return Id.Length == 0 ? JsonStep.Wrong : Read(c);
            case State.AfterId:
                MatchStep step = mark!.Read(c);
                if (step == MatchStep.Whole) state = State.BeforeArguments;
                return step == MatchStep.Failed ? JsonStep.Wrong : JsonStep.Inside;
            case State.BeforeArguments:
                if (char.IsWhiteSpace(c)) return JsonStep.Inside;
                state = State.Arguments;
                return c == '{' ? ReadArguments(c) : JsonStep.Wrong;
            default:
                return ReadArguments(c);
        }
    }

    private JsonStep ReadName(char c)
    {
        if (char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')
        {
            text.Append(c);
            return text.Length <= LongestName ? JsonStep.Inside : JsonStep.Wrong;
        }
        if (text.Length == 0) return char.IsWhiteSpace(c) ? JsonStep.Inside : JsonStep.Wrong;
        (state, mark) = (State.Mark, new MarkMatch(beforeArguments.Text));
        if (beforeArguments.AfterId is { } afterId) direct = new MarkMatch(afterId);
        string name = text.ToString();
        text.Clear();
        JsonStep step = ReadMark(c);
        if (step != JsonStep.Wrong) Name = name;
        return step;
    }

    private JsonStep ReadMark(char c)
    {
        MatchStep before = mark?.Read(c) ?? MatchStep.Failed, without = direct?.Read(c) ?? MatchStep.Failed;
        if (before == MatchStep.Failed) mark = null;
        if (without == MatchStep.Failed) direct = null;
        if (before == MatchStep.Whole) state = beforeArguments.AfterId is null ? State.BeforeArguments : State.Id;
        else if (without == MatchStep.Whole) state = State.BeforeArguments;
        return mark is null && direct is null ? JsonStep.Wrong : JsonStep.Inside;
    }

    private JsonStep ReadArguments(char c)
    {
        JsonStep step = value.Read(c);
        if (step != JsonStep.Wrong) Append(c);
        HasAllArguments = step == JsonStep.End;
        return step;
    }
}
