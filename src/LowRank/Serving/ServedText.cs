using System.Threading.Channels;
using LowRank.Kernels;

namespace LowRank.Serving;

/// <summary>The texts of one request while they are written.</summary>
/// <remarks>Pieces of several texts (<see cref="ServingRequest.Count"/>) come in the order in which they are written.
/// To leave the loop, or to cancel, ends the work at once, whether the request waits, its prompt is read, or its text
/// is written.</remarks>
public sealed class ServedText : IAsyncEnumerable<ServedPiece>
{
    private readonly Channel<ServedPiece> pieces = Channel.CreateUnbounded<ServedPiece>(new() { SingleReader = true });
    private readonly int promptTokens;
    private readonly Action left;
    private CancellationTokenRegistration registration;
    private int cachedTokens, newTokens;
    private volatile bool isLeft, isComplete;

    internal ServedText(int promptTokens, Action left) => (this.promptTokens, this.left) = (promptTokens, left);

    /// <summary>What it took so far; complete when the last piece has come.</summary>
    public ServingUsage Usage => new(promptTokens, Volatile.Read(ref cachedTokens), Volatile.Read(ref newTokens));

    /// <summary>How long it took so far; complete when the last piece has come.</summary>
    public ServingTimes Times { get; internal set; } = new(default, default, default);

    /// <summary>The prompt's tokens, if they were asked for (<see cref="ServingRequest.PromptLogProbs"/>); there when
    /// the first piece has come.</summary>
    public IReadOnlyList<ScoredToken> PromptTokens { get; internal set; } = [];

    /// <summary>Whether nobody reads any more.</summary>
    internal bool IsLeft => isLeft;

    /// <summary>The pieces as they come; to be read once.</summary>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <exception cref="NonFiniteException">The model gives no finite numbers.</exception>
    /// <exception cref="InputException">An adapter had left the memory, and its files cannot be read or are no longer
    /// those that were added.</exception>
    /// <exception cref="ServingException">The engine was closed before the end.</exception>
    public async IAsyncEnumerator<ServedPiece> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        try
        {
            await foreach (ServedPiece piece in pieces.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
                yield return piece;
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>All of it: the text of each index, in order.</summary>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <inheritdoc cref="GetAsyncEnumerator"/>
    public async Task<IReadOnlyList<ServedPiece>> CollectAsync(CancellationToken cancellationToken = default)
    {
        var whole =
            new SortedDictionary<int, (System.Text.StringBuilder Text, List<ScoredToken> Tokens, ServedEnd? End)>();
        await foreach (ServedPiece piece in this.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            if (!whole.TryGetValue(piece.Index, out var one)) one = (new(), [], null);
            one.Text.Append(piece.Text);
            one.Tokens.AddRange(piece.Tokens);
            whole[piece.Index] = one with { End = piece.End };
        }
        return [.. whole.Select(text => new ServedPiece(text.Key, text.Value.Text.ToString())
            { Tokens = text.Value.Tokens, End = text.Value.End })];
    }

    /// <summary>Ends the work without reading further.</summary>
    public void Leave()
    {
        if (isLeft) return;
        isLeft = true;
        if (!isComplete) left();
    }

    internal void LeaveWith(CancellationToken cancellation) => registration = cancellation.Register(Leave);

    internal void Write(ServedPiece piece) => pieces.Writer.TryWrite(piece);

    internal void Complete(Exception? failure = null)
    {
        isComplete = true;
        pieces.Writer.TryComplete(failure);
        registration.Dispose();
    }

    internal void CountCached(int tokens) => Volatile.Write(ref cachedTokens, tokens);

    internal void CountNew() => Interlocked.Increment(ref newTokens);
}
