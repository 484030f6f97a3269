using System.Text;

namespace LowRank.Tokenizers.Patterns;

/// <summary>Runs a compiled pattern over a text by backtracking, with its own stack and a bounded number of steps,
/// because files are not trusted.</summary>
/// <param name="steps">The pattern.</param>
/// <param name="registers">Number of registers that it uses.</param>
/// <param name="text">The text.</param>
/// <param name="budget">The remaining steps.</param>
internal sealed class PatternMachine(PatternStep[] steps, int registers, string text, TextBudget budget)
{
    private const int MostEntries = 1 << 24; // 200 MB
    private readonly int[] marks = new int[registers];
    private Entry[] stack = new Entry[16];
    private int count;
    private long remaining;

    /// <summary>The end of a match that starts at a position; -1 if there is none.</summary>
    /// <exception cref="TimeoutException">The pattern has taken more steps than any that splits text needs.</exception>
    public int Match(int at)
    {
        remaining = budget.Steps;
        int end = Run(steps, at, end: -1);
        budget.Steps = remaining;
        return end;
    }

    // end: the required end of the match; -1 for any.
    private int Run(PatternStep[] program, int at, int end)
    {
        int bottom = count;
        for (int next = 0; ;)
        {
            if (--remaining < 0)
                throw new TimeoutException($"it needs too many steps on a text of {text.Length} characters");
            ref readonly PatternStep step = ref program[next];
            bool goesOn = true;
            switch (step.Operation)
            {
                case PatternOperation.Match when end < 0 || at == end:
                    count = bottom;
                    return at;
                case PatternOperation.Match:
                    goesOn = false;
                    break;
                case PatternOperation.Fork:
                    Push(new Entry(step.Second, at, -1));
                    next = step.First;
                    continue;
                case PatternOperation.Jump:
                    next = step.First;
                    continue;
                case PatternOperation.LeaveWhenStill when marks[step.First] == at:
                    next = step.Second;
                    continue;
                case PatternOperation.LeaveWhenStill:
                    break;
                case PatternOperation.Mark:
                    Push(new Entry(~step.First, marks[step.First], -1));
                    marks[step.First] = at;
                    break;
                default:
                    goesOn = Take(step, next, ref at);
                    break;
            }
            if (goesOn) next++;
            else if (!Back(bottom, ref next, ref at)) return -1;
        }
    }

    private bool Take(in PatternStep step, int number, ref int at)
    {
        switch (step.Operation)
        {
            case PatternOperation.Take:
                return TakeOne(step.Class!, ref at);
            case PatternOperation.TakeMany or PatternOperation.TakeAll:
                int start = at, least = -1, taken = 0;
                if (step.First == 0) least = start;
                while (taken < step.Second && TakeOne(step.Class!, ref at))
                    if (++taken == step.First) least = at;
                remaining -= taken;
                if (taken < step.First) return false;
                if (step.Operation == PatternOperation.TakeMany && at > least) Push(new Entry(number + 1, at, least));
                return true;
            case PatternOperation.At:
                return IsAt((PatternPlace)step.First, at);
            case PatternOperation.Ahead or PatternOperation.NotAhead:
                return Run(step.Part!, at, end: -1) >= 0 == (step.Operation == PatternOperation.Ahead);
            case PatternOperation.Behind or PatternOperation.NotBehind:
                return IsBehind(step, at) == (step.Operation == PatternOperation.Behind);
            case PatternOperation.Atomic:
                int end = Run(step.Part!, at, end: -1);
                if (end >= 0) at = end;
                return end >= 0;
            default:
                throw new InvalidOperationException($"{step.Operation} is no step that takes");
        }
    }

    private bool IsBehind(in PatternStep step, int at)
    {
        int start = at;
        for (int length = 0; length <= step.Second; length++)
        {
            if (length >= step.First && Run(step.Part!, start, at) == at) return true;
            if (start == 0) return false;
            start = Before(start);
        }
        return false;
    }

    private bool TakeOne(CharacterClass single, ref int at)
    {
        if (at >= text.Length) return false;
        int length = 1;
        if (!Rune.TryCreate(text[at], out Rune rune)) Rune.DecodeFromUtf16(text.AsSpan(at), out rune, out length);
        if (!single.Contains(rune)) return false;
        at += length;
        return true;
    }

    private bool IsAt(PatternPlace place, int at) => place switch
    {
        PatternPlace.TextStart => at == 0,
        PatternPlace.TextEnd => at == text.Length,
        PatternPlace.TextEndOrLastLine => at == text.Length || (at == text.Length - 1 && text[at] == '\n'),
        PatternPlace.LineStart => at == 0 || (text[at - 1] == '\n' && at < text.Length),
        PatternPlace.LineEnd => at == text.Length || text[at] == '\n',
        _ => (IsWord(at) != (at > 0 && IsWord(Before(at)))) == (place == PatternPlace.WordEdge),
    };

    private bool IsWord(int at) => TakeOne(CharacterProperties.Word, ref at);

    private int Before(int at) => at - (at > 1 && char.IsSurrogatePair(text[at - 2], text[at - 1]) ? 2 : 1);

    private bool Back(int bottom, ref int next, ref int at)
    {
        while (count > bottom)
        {
            Entry entry = stack[--count];
            if (entry.Step < 0)
            {
                marks[~entry.Step] = entry.At;
                continue;
            }
            (next, at) = (entry.Step, entry.At);
            if (entry.Least < 0) return true;
            at = Before(at);
            if (at > entry.Least) Push(entry with { At = at });
            return true;
        }
        return false;
    }

    private void Push(Entry entry)
    {
        if (count == MostEntries)
            throw new TimeoutException(
                $"it goes back to more than {MostEntries} places of a text of {text.Length} characters");
        if (count == stack.Length) Array.Resize(ref stack, 2 * count);
        stack[count++] = entry;
    }

    /// <summary>Where to continue if the following steps fail.</summary>
    /// <param name="Step">The step; if negative, the register (its complement) whose old position is restored.</param>
    /// <param name="At">The position in the text.</param>
    /// <param name="Least">The position down to which characters are given back; -1 if none are.</param>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
    private readonly record struct Entry(int Step, int At, int Least);
}

/// <summary>The operation of a compiled pattern's step.</summary>
internal enum PatternOperation
{
    /// <summary>Ends with a match.</summary>
    Match,

    /// <summary>Consumes a character of the class.</summary>
    Take,

    /// <summary>Consumes as many characters of the class as possible, and gives them back one by one if the following
    /// steps fail.</summary>
    TakeMany,

    /// <summary>Consumes as many characters of the class as possible and keeps them.</summary>
    TakeAll,

    /// <summary>Continues at First; if that fails, at Second.</summary>
    Fork,

    /// <summary>Continues at First.</summary>
    Jump,

    /// <summary>Stores the position in the text in register First.</summary>
    Mark,

    /// <summary>Continues at Second if the position equals register First: a repeated part has consumed
    /// nothing.</summary>
    LeaveWhenStill,

    /// <summary>Fails unless the position is of kind First, a <see cref="PatternPlace"/>.</summary>
    At,

    /// <summary>Checks that the part matches here, without consuming anything.</summary>
    Ahead,

    /// <summary>Checks that the part does not match here.</summary>
    NotAhead,

    /// <summary>Checks that the part matches up to here, with a length of First to Second characters.</summary>
    Behind,

    /// <summary>Checks that the part does not match up to here.</summary>
    NotBehind,

    /// <summary>Consumes what the part matches and never gives it back.</summary>
    Atomic,
}

/// <summary>A step of a compiled pattern.</summary>
/// <param name="Operation">The operation.</param>
/// <param name="Class">The characters that it consumes.</param>
/// <param name="First">A step, a register, a minimum, or a place, depending on the operation.</param>
/// <param name="Second">A step or a maximum.</param>
/// <param name="Part">The steps of a part that is matched separately.</param>
internal readonly record struct PatternStep(
    PatternOperation Operation, CharacterClass? Class = null, int First = 0, int Second = 0,
    PatternStep[]? Part = null);

/// <summary>A kind of position that a pattern can require.</summary>
internal enum PatternPlace
{
    /// <summary><c>\A</c></summary>
    TextStart,

    /// <summary><c>\z</c></summary>
    TextEnd,

    /// <summary><c>\Z</c>: the end, or before a line feed that ends the text.</summary>
    TextEndOrLastLine,

    /// <summary><c>^</c>: the beginning of a line.</summary>
    LineStart,

    /// <summary><c>$</c>: the end of a line.</summary>
    LineEnd,

    /// <summary><c>\b</c></summary>
    WordEdge,

    /// <summary><c>\B</c></summary>
    NoWordEdge,
}
