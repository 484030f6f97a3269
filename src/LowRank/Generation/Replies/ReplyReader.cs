using System.Text;
using LowRank.Data.Chat;

namespace LowRank.Generation.Replies;

/// <summary>Splits the text that a model generates into words, thoughts and calls of tools, as it arrives. What could
/// begin a call is held back until that is decided; what turns out not to be one is content as it was written.
/// </summary>
/// <remarks>The reply is the same however its text is cut into pieces. It is also the same with and without
/// <see cref="ReplyReading.Streams"/>, except for one case: a call whose arguments stop being JSON after they have
/// begun. Its beginning is already sent then, so a stream keeps it with the arguments up to there and goes on with
/// content, while a whole reply has it all as content.</remarks>
internal sealed class ReplyReader
{
    private const string PythonTag = "<|python_tag|>"; // Llama 3 may write it before a call

    private readonly ReplyReading reading;
    private readonly Stack<Letter> input = new();
    private readonly List<Letter> held = [];
    private readonly List<(MarkMatch Match, Phase Then)> marks = []; // what the held text may become
    private readonly List<ReplyPart> parts = [];
    private readonly StringBuilder text = new(); // of the last part
    private int markAt; // where the mark begins in the held text
    private Phase phase;
    private bool hasSpoken, hasThought, mayThink, dropsSpace, followsCall, hasSeparator, isSent;
    private CallScan call = null!;
    private int sentArguments;
    private int restAt; // where, in the held text, what follows a call's arguments begins; -1 before their end

    /// <summary>Creates a reader for one reply.</summary>
    public ReplyReader(ReplyReading reading)
    {
        this.reading = reading;
        mayThink = reading.Reasoning is not null;
        phase = mayThink && reading.BeginsInReasoning ? Phase.Reasoning : Phase.Content;
    }

    private enum Phase { Content, Reasoning, Call, AfterCall, Done }

    /// <summary>How many calls there are so far.</summary>
    public int Calls { get; private set; }

    /// <summary>Whether nothing more of the reply counts: it had its one call. Generation may end here.</summary>
    public bool IsDone => phase == Phase.Done;

    /// <summary>Whether text is held back that may still be content, thought or a call; what is dropped whatever
    /// follows is not.</summary>
    public bool Holds => held.Exists(letter => !letter.IsSpecial
        && !(dropsSpace && phase == Phase.Content && char.IsWhiteSpace(letter.Char)));

    /// <summary>Reads a piece of the text.</summary>
    /// <param name="piece">The piece.</param>
    /// <param name="isSpecial">Whether it is a special token. Its text is never content.</param>
    /// <returns>The parts that are certain now.</returns>
    public IReadOnlyList<ReplyPart> Add(string piece, bool isSpecial = false)
    {
        for (int i = piece.Length - 1; i >= 0; i--) input.Push(new Letter(piece[i], isSpecial));
        while (input.Count > 0) Take(input.Pop());
        return Certain();
    }

    /// <summary>Ends the reply.</summary>
    /// <param name="isCut">Whether it ended because it had its most tokens: then a call whose arguments have begun
    /// counts, as far as it goes. Otherwise it is not JSON.</param>
    /// <returns>The last parts.</returns>
    public IReadOnlyList<ReplyPart> End(bool isCut)
    {
        switch (phase)
        {
            case Phase.Reasoning when held.Exists(letter => !char.IsWhiteSpace(letter.Char)):
                Say(held, isThought: true);
                break;
            case Phase.Content when Calls == 0 || held.Exists(letter => !char.IsWhiteSpace(letter.Char)):
                Say(held);
                break;
            case Phase.Call when isSent:
                break;
            case Phase.Call when Counts() || (isCut && CanBegin()):
                Send();
                break;
            case Phase.Call:
                Say(held);
                break;
        }
        held.Clear();
        phase = Phase.Done;
        return Certain();
    }

    private void Take(Letter letter)
    {
        switch (phase)
        {
            case Phase.Content or Phase.Reasoning:
                if (marks.Count > 0) GoOnWithMark(letter);
                else TakeText(letter);
                break;
            case Phase.Call:
                TakeCall(letter);
                break;
            case Phase.AfterCall when reading.Convention!.IsBare:
                TakeAfterBare(letter);
                break;
            case Phase.AfterCall:
                held.Add(letter);
                if (Match(letter.Char) is { } next) Enter(next);
                else if (marks.Count == 0) Release(all: true);
                break;
        }
    }

    private void TakeText(Letter letter)
    {
        char c = letter.Char;
        bool isThought = phase == Phase.Reasoning;
        if (char.IsWhiteSpace(c))
        {
            held.Add(letter); // it is dropped before a mark
            return;
        }
        markAt = held.Count;
        held.Add(letter);
        if (!isThought && c == '{' && reading.Convention is { IsBare: true } && (!hasSpoken || followsCall))
        {
            Enter(Phase.Call, letter);
            return;
        }
        if (isThought)
        {
            marks.Add((new MarkMatch(reading.Reasoning!.Close), Phase.Content));
            // The prompt ended in the mark, but the model writes it again.
            if (!hasThought) marks.Add((new MarkMatch(reading.Reasoning.Open), Phase.Reasoning));
        }
        else
        {
            if (mayThink && !hasSpoken) marks.Add((new MarkMatch(reading.Reasoning!.Open), Phase.Reasoning));
            if (reading.Convention is { } convention)
                marks.Add((new MarkMatch(convention.IsBare ? PythonTag : convention.Opening), Phase.Call));
        }
        if (Match(c) is { } next) Enter(next);
        else if (marks.Count == 0) Release(all: false);
    }

    private void GoOnWithMark(Letter letter)
    {
        held.Add(letter);
        if (Match(letter.Char) is { } next) Enter(next);
        else if (marks.Count == 0) Release(all: false);
    }

    // What follows the mark that is complete with this character; null if none is.
    private Phase? Match(char c)
    {
        Phase? whole = null;
        for (int i = marks.Count - 1; i >= 0; i--)
        {
            MatchStep step = marks[i].Match.Read(c);
            if (step == MatchStep.Whole) whole = marks[i].Then;
            if (step == MatchStep.Failed) marks.RemoveAt(i);
        }
        return whole;
    }

    private void Enter(Phase next, Letter? first = null)
    {
        Phase before = phase;
        (phase, followsCall) = (next, before == Phase.AfterCall && next == Phase.Content);
        marks.Clear();
        if (next == Phase.Call)
        {
            call = CallScan.Of(reading.Convention!);
            (isSent, sentArguments, restAt) = (false, 0, -1);
            if (first is { } letter) call.Read(letter.Char);
            return;
        }
        held.Clear();
        if (next == Phase.Reasoning) mayThink = false;
        else if (before == Phase.Reasoning) (mayThink, dropsSpace) = (false, true);
    }

    // The held text is not what it could have been: its first letter, or nothing, is said, and the rest read again.
    private void Release(bool all)
    {
        int said = all ? 0 : markAt + 1;
        Say(held[..said], phase == Phase.Reasoning);
        for (int i = held.Count - 1; i >= said; i--) input.Push(held[i]);
        held.Clear();
        marks.Clear();
        if (phase is Phase.Call or Phase.AfterCall) (followsCall, phase) = (phase == Phase.AfterCall, Phase.Content);
    }

    private void TakeCall(Letter letter)
    {
        held.Add(letter);
        JsonStep step = call.Read(letter.Char);
        bool isStranger = reading.Convention!.IsBare && call.Name is { } name && reading.Tools?.Contains(name) == false;
        if (step == JsonStep.Wrong || isStranger)
        {
            if (isStranger || (!isSent && !Counts())) FailCall();
            else EndCall(isWhole: false);
            return;
        }
        if (Counts() && restAt < 0) restAt = held.Count;
        if (reading.Streams && CanBegin() && call.ArgumentsLength > sentArguments) Send();
        if (step == JsonStep.End) EndCall(isWhole: true);
    }

    private bool CanBegin() => call.Name is not null && call.HasArguments;

    private bool Counts() => call.Name is not null && call.HasAllArguments;

    private void FailCall()
    {
        markAt = held.FindIndex(letter => !char.IsWhiteSpace(letter.Char));
        Release(all: false);
    }

    // Sends what is new of the call.
    private void Send()
    {
        if (!isSent)
        {
            Flush();
            string id = call.Id is { } given && (!reading.Convention!.HasShortIds || given.Length == CallIds.Short)
                ? given : CallIds.Make(reading.Seed, Calls, reading.Convention!.HasShortIds);
            parts.Add(new ReplyPart.Call(Calls, id, call.Name!));
            isSent = true;
            Calls++;
            hasSpoken = true;
        }
        if (call.ArgumentsLength == sentArguments) return;
        Append(new ReplyPart.Arguments(Calls - 1, ""), call.ArgumentsFrom(sentArguments));
        sentArguments = call.ArgumentsLength;
        if (!reading.Streams) return;
        held.Clear();
        if (restAt >= 0) restAt = 0;
    }

    // What was held since the arguments is read again if it does not belong to the call.
    private void EndCall(bool isWhole)
    {
        Send();
        int rest = isWhole ? held.Count : Math.Max(restAt, 0);
        for (int i = held.Count - 1; i >= rest; i--) input.Push(held[i]);
        held.Clear();
        if (!reading.AllowsSeveralCalls)
        {
            input.Clear();
            phase = Phase.Done;
            return;
        }
        (phase, followsCall, hasSeparator) = (Phase.AfterCall, true, false);
        ToolConvention convention = reading.Convention!;
        if (convention.IsBare) return;
        string closing = MarkMatch.Letters(convention.Closing), between = MarkMatch.Letters(convention.Between ?? "");
        // Where each call has its own marks, the next one's are an opening like the first one's.
        if (between.Length > 0 && between != closing + MarkMatch.Letters(convention.Opening))
            marks.Add((new MarkMatch(between), Phase.Call));
        if (closing.Length > 0) marks.Add((new MarkMatch(closing), Phase.Content));
        if (marks.Count == 0) phase = Phase.Content;
    }

    // Llama 3 separates calls by a semicolon or a line break.
    private void TakeAfterBare(Letter letter)
    {
        held.Add(letter);
        if (char.IsWhiteSpace(letter.Char)) return;
        if (letter.Char == '{') Enter(Phase.Call, letter);
        else if (letter.Char == ';' && !hasSeparator) hasSeparator = true;
        else Release(all: true);
    }

    private void Say(List<Letter> letters, bool isThought = false)
    {
        ReplyPart kind = isThought ? new ReplyPart.Reasoning("") : new ReplyPart.Content("");
        foreach (Letter letter in letters)
        {
            bool isSpace = char.IsWhiteSpace(letter.Char);
            if (letter.IsSpecial || (isSpace && (isThought ? !hasThought : dropsSpace))) continue;
            Append(kind, letter.Char.ToString());
            if (isSpace) continue;
            if (isThought) hasThought = true;
            else (hasSpoken, followsCall, dropsSpace) = (true, false, false);
        }
    }

    private void Append(ReplyPart kind, string more)
    {
        if (parts.Count == 0 || parts[^1].GetType() != kind.GetType())
        {
            Flush();
            parts.Add(kind);
        }
        text.Append(more);
    }

    // Gives the last part its text.
    private void Flush()
    {
        if (text.Length == 0) return;
        parts[^1] = parts[^1] switch
        {
            ReplyPart.Content => new ReplyPart.Content(text.ToString()),
            ReplyPart.Reasoning => new ReplyPart.Reasoning(text.ToString()),
            ReplyPart.Arguments of => of with { Text = text.ToString() },
            ReplyPart part => part,
        };
        text.Clear();
    }

    private List<ReplyPart> Certain()
    {
        Flush();
        List<ReplyPart> certain = [.. parts];
        parts.Clear();
        return certain;
    }

    private readonly record struct Letter(char Char, bool IsSpecial);
}

/// <summary>How a reply is read.</summary>
internal sealed record ReplyReading
{
    /// <summary>How the model writes calls; null if calls are not read.</summary>
    public ToolConvention? Convention { get; init; }

    /// <summary>The names of the tools that can be called, which tell a bare call from an answer in JSON; null to take
    /// every name.</summary>
    public IReadOnlySet<string>? Tools { get; init; }

    /// <summary>The marks of thoughts; null if the model has none, or they are to stay in the content.</summary>
    public ReasoningMarks? Reasoning { get; init; }

    /// <summary>Whether the prompt ended within thoughts.</summary>
    public bool BeginsInReasoning { get; init; }

    /// <summary>Whether a reply may have several calls. Default true.</summary>
    public bool AllowsSeveralCalls { get; init; } = true;

    /// <summary>Whether calls are sent while they are written; otherwise once they are complete.</summary>
    public bool Streams { get; init; }

    /// <summary>The seed of the calls' ids.</summary>
    public ulong Seed { get; init; }
}
