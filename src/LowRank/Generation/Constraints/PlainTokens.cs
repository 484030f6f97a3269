using System.Buffers;
using System.Text;

namespace LowRank.Generation;

/// <summary>Tokens of plain characters: whole ones that a JSON string holds as they are. They are most of a vocabulary,
/// and in most strings all of them are allowed, or all up to some length: then no token is looked at one by one.
/// </summary>
internal sealed class PlainTokens
{
    /// <summary>The most characters of a token.</summary>
    private const int MostCharacters = 32;

    private readonly uint[][] masks; // by the most characters
    private readonly int length;

    /// <summary>Collects the plain tokens.</summary>
    /// <param name="tokens">All tokens and their bytes.</param>
    /// <param name="length">The length of masks.</param>
    public PlainTokens(IEnumerable<(int Token, ReadOnlyMemory<byte> Bytes)> tokens, int length)
    {
        this.length = length;
        masks = [.. Enumerable.Range(0, MostCharacters + 1).Select(_ => new uint[length])];
        List<(int, ReadOnlyMemory<byte>)> others = [];
        foreach ((int token, ReadOnlyMemory<byte> bytes) in tokens)
        {
            if (CountPlain(bytes.Span) is not (> 0 and <= MostCharacters and int count)) others.Add((token, bytes));
            else masks[count][token >> 5] |= 1u << token;
        }
        for (int count = 1; count < masks.Length; count++)
            for (int i = 0; i < length; i++) masks[count][i] |= masks[count - 1][i];
        Others = new TokenTrie(others);
    }

    /// <summary>All other tokens.</summary>
    public TokenTrie Others { get; }

    /// <summary>Adds the plain tokens that are allowed in a state to a mask.</summary>
    /// <returns>Whether that could be told; if not, the mask is unchanged.</returns>
    public bool TryAllow(ByteAutomaton automaton, AutomatonState state, uint[] mask)
    {
        int count = 0;
        AutomatonState at = state;
        for (; count < MostCharacters && After(automaton, at) is { } next; at = next)
        {
            count++;
            if (!ReferenceEquals(next, at)) continue;
            count = MostCharacters;
            break;
        }
        // Where the run ends, no plain character may follow, or some tokens are to be looked at.
        if (count < MostCharacters && !ForbidsPlain(automaton, at)) return false;
        for (int i = 0; i < length; i++) mask[i] |= masks[count][i];
        return true;
    }

    private static int? CountPlain(ReadOnlySpan<byte> bytes)
    {
        int count = 0;
        for (; !bytes.IsEmpty; count++)
        {
            if (Rune.DecodeFromUtf8(bytes, out Rune rune, out int used) != OperationStatus.Done
                || !IsPlain(rune.Value))
                return null;
            bytes = bytes[used..];
        }
        return count;
    }

    private static bool IsPlain(int character) => character >= ' ' && character is not ('"' or '\\');

    private static bool ForbidsPlain(ByteAutomaton automaton, AutomatonState state)
    {
        for (int value = ' '; value <= 0xFF; value++)
            if (IsPlain(value) && !ReferenceEquals(automaton.Step(state, (byte)value), automaton.Dead)) return false;
        return true;
    }

    // The one state after every plain character; null if there is none.
    private static AutomatonState? After(ByteAutomaton automaton, AutomatonState state)
    {
        if (state.AfterPlain is { } known) return ReferenceEquals(known, automaton.Dead) ? null : known;
        AutomatonState next = automaton.Step(state, (byte)' ');
        bool isOne = !ReferenceEquals(next, automaton.Dead);
        for (int value = ' '; isOne && value < 0x80; value++)
            isOne = !IsPlain(value) || ReferenceEquals(automaton.Step(state, (byte)value), next);
        // First bytes, then the ranges of the bytes after them (Unicode, table 3-7).
        for (int lead = 0xC2; isOne && lead <= 0xF4; lead++)
        {
            (int low, int high) = lead switch
            {
                0xE0 => (0xA0, 0xBF), 0xED => (0x80, 0x9F), 0xF0 => (0x90, 0xBF), 0xF4 => (0x80, 0x8F),
                _ => (0x80, 0xBF),
            };
            isOne = LeadsTo(automaton, automaton.Step(state, (byte)lead), low, high,
                lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3, next);
        }
        state.AfterPlain = isOne ? next : automaton.Dead;
        return isOne ? next : null;
    }

    private static bool LeadsTo(
        ByteAutomaton automaton, AutomatonState state, int low, int high, int bytes, AutomatonState target)
    {
        AutomatonState? last = null;
        for (int value = low; value <= high; value++)
        {
            AutomatonState next = automaton.Step(state, (byte)value);
            if (ReferenceEquals(next, last)) continue;
            if (bytes == 1 ? !ReferenceEquals(next, target)
                : !LeadsTo(automaton, next, 0x80, 0xBF, bytes - 1, target))
                return false;
            last = next;
        }
        return true;
    }
}
