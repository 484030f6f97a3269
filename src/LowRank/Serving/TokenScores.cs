namespace LowRank.Serving;

/// <summary>Log-probabilities of tokens, log softmax(logits), in double precision.</summary>
internal static class TokenScores
{
    /// <summary>The score of a token, and of the likeliest ones in its place.</summary>
    /// <param name="logits">One number per token.</param>
    /// <param name="token">The token.</param>
    /// <param name="count">How many of the likeliest.</param>
    public static ScoredToken Of(ReadOnlySpan<float> logits, int token, int count)
    {
        float largest = float.NegativeInfinity;
        foreach (float logit in logits) largest = MathF.Max(largest, logit);
        double sum = 0;
        foreach (float logit in logits) sum += Math.Exp(logit - largest);
        double logSum = largest + Math.Log(sum);
        float Score(float logit) => (float)(logit - logSum);
        if (count == 0) return new ScoredToken(token, Score(logits[token]), []);
        var best = new PriorityQueue<int, (float, int)>(count + 1); // the least likely, of equal ones the last, first
        for (int i = 0; i < logits.Length; i++)
        {
            if (best.Count < count) best.Enqueue(i, (logits[i], -i));
            else if (best.TryPeek(out _, out (float Logit, int) least) && logits[i] > least.Logit)
                best.EnqueueDequeue(i, (logits[i], -i));
        }
        var likeliest = new (int, float)[best.Count];
        for (int i = best.Count - 1; i >= 0; i--)
        {
            int id = best.Dequeue();
            likeliest[i] = (id, Score(logits[id]));
        }
        return new ScoredToken(token, Score(logits[token]), likeliest);
    }
}
