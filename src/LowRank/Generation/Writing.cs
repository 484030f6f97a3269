namespace LowRank.Generation;

/// <summary>The texts being generated for prompts, and which of them are unfinished.</summary>
/// <param name="prompts">The token ids of each prompt.</param>
/// <param name="rooms">The maximum number of new tokens for each prompt.</param>
/// <param name="options">The options, which say when a text ends.</param>
/// <param name="ends">Called with the number of the prompt and each new token; whether the text ends with it.</param>
internal sealed class Writing(
    IReadOnlyList<int[]> prompts, IReadOnlyList<int> rooms, GenerationOptions options, Func<int, int, bool> ends)
{
    private readonly HashSet<int> stops = [.. options.StopTokenIds];
    private readonly List<int>[] results = [.. prompts.Select(_ => new List<int>())];
    private readonly bool[] open = [.. rooms.Select(room => room > 0)];

    /// <summary>The new tokens of each prompt, without the stop token.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Results => results;

    /// <summary>Number of texts that ended because they filled the context.</summary>
    public int Filled { get; private set; }

    /// <summary>Number of prompts that already fill the context.</summary>
    public int Full => rooms.Count(room => room == 0);

    /// <summary>The numbers of the unfinished texts.</summary>
    public int[] Open() => [.. Enumerable.Range(0, open.Length).Where(row => open[row])];

    /// <summary>Whether any text is unfinished.</summary>
    public bool IsOpen(int[] rows) => rows.Any(IsOpen);

    /// <summary>Whether a text is unfinished.</summary>
    public bool IsOpen(int row) => open[row];

    /// <summary>A prompt with its continuation.</summary>
    public int[] Text(int row) => [.. prompts[row], .. results[row]];

    /// <summary>Adds a token to each unfinished text.</summary>
    public void Add(int[] rows, long[] chosen)
    {
        for (int i = 0; i < rows.Length; i++)
        {
            (int row, int token) = (rows[i], (int)chosen[i]);
            if (!open[row]) continue;
            open[row] = !stops.Contains(token);
            if (!open[row]) continue;
            results[row].Add(token);
            open[row] = !ends(row, token);
            if (!open[row]) continue;
            open[row] = results[row].Count < Math.Min(options.MaxNewTokens, rooms[row]);
            if (!open[row] && results[row].Count < options.MaxNewTokens) Filled++;
        }
    }
}
