namespace LowRank.Generation;

/// <summary>The texts that are being written for prompts, and which of them go on.</summary>
/// <param name="prompts">Token ids of each.</param>
/// <param name="rooms">Most tokens that each can be continued by.</param>
/// <param name="options">When a text ends.</param>
/// <param name="onToken">Called with the number of the prompt and each new token.</param>
internal sealed class Writing(
    IReadOnlyList<int[]> prompts, IReadOnlyList<int> rooms, GenerationOptions options, Action<int, int>? onToken)
{
    private readonly HashSet<int> stops = [.. options.StopTokenIds];
    private readonly List<int>[] results = [.. prompts.Select(_ => new List<int>())];
    private readonly bool[] open = [.. rooms.Select(room => room > 0)];

    /// <summary>The new tokens of each prompt, without the stop token.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Results => results;

    /// <summary>Texts that ended because they filled the context, before the options end them.</summary>
    public int Filled { get; private set; }

    /// <summary>Prompts that fill the context by themselves.</summary>
    public int Full => rooms.Count(room => room == 0);

    /// <summary>The numbers of those that go on.</summary>
    public int[] Open() => [.. Enumerable.Range(0, open.Length).Where(row => open[row])];

    /// <summary>Whether one of them goes on.</summary>
    public bool IsOpen(int[] rows) => rows.Any(row => open[row]);

    /// <summary>A prompt with what was written.</summary>
    public int[] Text(int row) => [.. prompts[row], .. results[row]];

    /// <summary>Adds a token to each of them that goes on.</summary>
    public void Add(int[] rows, long[] chosen)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            (int row, int token) = (rows[i], (int)chosen[i]);
            if (!open[row]) continue;
            open[row] = !stops.Contains(token);
            if (!open[row]) continue;
            results[row].Add(token);
            onToken?.Invoke(row, token);
            open[row] = results[row].Count < Math.Min(options.MaxNewTokens, rooms[row]);
            if (!open[row] && results[row].Count < options.MaxNewTokens) Filled++;
        }
    }
}
