using System.Diagnostics;

namespace LowRank.Cli.Bench.Serve;

/// <summary>When the tokens of some texts came, which were asked for at the same time.</summary>
/// <param name="Texts">Number of texts.</param>
/// <param name="Started">When they were asked for, as <see cref="Stopwatch.GetTimestamp"/> counts.</param>
/// <param name="Firsts">When each text's first token came.</param>
/// <param name="Next">When each further token came, and how many seconds after the text's token before it.</param>
/// <param name="Ends">When each text ended.</param>
internal sealed record TokenTimes(
    int Texts, long Started, IReadOnlyList<long> Firsts, IReadOnlyList<(long At, double Seconds)> Next,
    IReadOnlyList<long> Ends)
{
    /// <summary>Tokens per second of the texts together, while no prompt is read.</summary>
    /// <remarks>From the last text's first token to the first text's last one each text has a token per step. Where
    /// there is no such time, because texts are written one after the other, the time in which any of them is
    /// written.</remarks>
    public double TokensPerSecond
    {
        get
        {
            double[] together = Together;
            return together.Length > 0 ? Texts / together.Average() : Next.Count / SecondsInUse();
        }
    }

    /// <summary>The fastest step in which all texts had a token; of all steps, if there is none.</summary>
    public double FastestSeconds => Together is { Length: > 0 } together ? together.Min()
        : Next.Min(token => token.Seconds);

    /// <summary>New tokens per second from the requests to the end of the last text, their prompts included.</summary>
    public double WholeTokensPerSecond => (Firsts.Count + Next.Count) / Seconds;

    /// <summary>From the requests to the end of the last text.</summary>
    public double Seconds => Stopwatch.GetElapsedTime(Started, Ends.Max()).TotalSeconds;

    /// <summary>The times of texts whose tokens came one by one.</summary>
    /// <param name="started">When they were asked for.</param>
    /// <param name="texts">When each of a text's tokens came, at least one.</param>
    public static TokenTimes Of(long started, IReadOnlyList<IReadOnlyList<long>> texts) => new(
        texts.Count, started, [.. texts.Select(text => text[0])],
        [.. texts.SelectMany(text => text.Zip(text.Skip(1),
            (before, at) => (at, Stopwatch.GetElapsedTime(before, at).TotalSeconds)))],
        [.. texts.Select(text => text[^1])]);

    private double[] Together
    {
        get
        {
            (long from, long to) = (Firsts.Max(), Ends.Min());
            return [.. Next.Where(token => token.At > from && token.At <= to).Select(token => token.Seconds)];
        }
    }

    // The length of all times between two tokens of a text, those that overlap counted once.
    private double SecondsInUse()
    {
        double sum = 0, end = double.NegativeInfinity;
        foreach ((double from, double to) in Next
            .Select(token => (To: Stopwatch.GetElapsedTime(Started, token.At).TotalSeconds, token.Seconds))
            .Select(token => (token.To - token.Seconds, token.To)).Order())
        {
            sum += Math.Max(0, to - Math.Max(from, end));
            end = Math.Max(end, to);
        }
        return sum;
    }
}
