using System.Text;

namespace LowRank.Generation;

/// <summary>How far a request has written a constrained text. Belongs to one request; not thread-safe.</summary>
public sealed class ConstraintState
{
    private readonly TokenConstraint constraint;
    private readonly int[] ends; // tokens that end this request's texts, besides the vocabulary's
    private AutomatonState state;
    private bool isAtStart; // and the first token may write something else than later ones
    private Task<uint[]>? finding; // the mask, where it takes long

    internal ConstraintState(TokenConstraint constraint, AutomatonState state, bool isAtStart, int[] ends) =>
        (this.constraint, this.state, this.isAtStart, this.ends) = (constraint, state, isAtStart, ends);

    /// <summary>The tokens that may follow: bit i of element i / 32 is token i. Includes the end-of-text tokens where
    /// the text may end. Shared between requests, and valid for ever; nothing is allowed once the text has
    /// ended.</summary>
    public ReadOnlySpan<uint> Allowed
    {
        get
        {
            if (HasEnded) return new uint[constraint.MaskLength];
            uint[] mask = finding?.GetAwaiter().GetResult() ?? constraint.MaskOf(state, isAtStart);
            if (ends.Length == 0 || !MayEnd) return mask;
            mask = [.. mask];
            foreach (int end in ends) mask[end >> 5] |= 1u << end;
            return mask;
        }
    }

    /// <summary>Whether the text is complete as it is.</summary>
    public bool MayEnd => state.Accepts;

    /// <summary>Whether nothing may follow but the end of the text.</summary>
    public bool MustEnd => HasEnded || TokenConstraint.IsAtEnd(state);

    /// <summary>Whether an end-of-text token was added.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>The text that has to follow, whatever the model prefers; empty where it has a choice, and then or at a
    /// text's beginning perhaps not all of it.</summary>
    public string ForcedText
    {
        get
        {
            if (HasEnded) return "";
            ReadOnlySpan<byte> bytes = constraint.ForcedBytes(state);
            int whole = bytes.Length; // without a part of a character
            while (whole > 0 && !IsWhole(bytes[..whole])) whole--;
            return Encoding.UTF8.GetString(bytes[..whole]);
        }
    }

    /// <summary>Begins to find <see cref="Allowed"/> on another thread, if that takes long.</summary>
    /// <returns>Complete when it is known.</returns>
    internal Task Prepare()
    {
        if (finding is null && !HasEnded && constraint.TryMaskOf(state, isAtStart) is null)
            finding = constraint.Find(state);
        return finding ?? Task.CompletedTask;
    }

    internal bool HasAllowed => Allowed.IndexOfAnyExcept(0u) >= 0;

    /// <summary>Whether a token may follow.</summary>
    public bool IsAllowed(int token) =>
        token >= 0 && token >> 5 < constraint.MaskLength && (Allowed[token >> 5] >> token & 1) != 0;

    /// <summary>Adds a token.</summary>
    /// <returns>Whether it is allowed; if not, the state is unchanged.</returns>
    public bool TryAdd(int token)
    {
        if (HasEnded) return false;
        if (constraint.IsEnd(token) || (MayEnd && ends.Contains(token))) return HasEnded = MayEnd;
        if (constraint.After(state, token, isAtStart) is not { } next) return false;
        (state, isAtStart, finding) = (next, false, null);
        return true;
    }

    /// <summary>A copy that goes on by itself.</summary>
    public ConstraintState Clone() => new(constraint, state, isAtStart, ends) { HasEnded = HasEnded };

    private static bool IsWhole(ReadOnlySpan<byte> bytes)
    {
        int last = bytes.Length - 1;
        while (last > 0 && (bytes[last] & 0xC0) == 0x80) last--;
        return Rune.DecodeFromUtf8(bytes[last..], out _, out int used) == System.Buffers.OperationStatus.Done
            && used == bytes.Length - last;
    }
}
