namespace LowRank.Data;

/// <summary>Cuts examples to the maximum length and counts what is lost.</summary>
internal sealed class ExampleCutter(int maxLength)
{
    private const int Named = 10;
    private int longest;
    private readonly List<DataPlace> droppedPlaces = [];
    private long examples, tokens, trainedTokens, truncated, tokensCut, trainedCut, dropped, droppedTokens, padded;

    /// <summary>The example, cut to the maximum length; null if nothing is left to learn.</summary>
    public TokenizedExample? Cut(TokenizedExample example)
    {
        bool wasCut = example.InputIds.Length > maxLength;
        if (wasCut)
        {
            truncated++;
            tokensCut += example.InputIds.Length - maxLength;
            trainedCut += example.PredictedLabels;
            example = example with
            {
                InputIds = example.InputIds[..maxLength],
                Labels = example.Labels[..maxLength],
                AttentionMask = example.AttentionMask?[..maxLength],
            };
        }
        int trained = example.PredictedLabels;
        if (wasCut) trainedCut -= trained;
        if (trained == 0)
        {
            dropped++;
            droppedTokens += example.InputIds.Length;
            if (example.Place is { } place && droppedPlaces.Count < Named) droppedPlaces.Add(place);
            return null;
        }
        examples++;
        longest = Math.Max(longest, example.Length);
        if (!example.IsWhole) padded++;
        tokens += example.InputIds.Length;
        trainedTokens += trained;
        return example;
    }

    /// <summary>The counts so far.</summary>
    public TokenizationSummary Summary() =>
        new(examples, tokens, trainedTokens, maxLength, truncated, tokensCut, dropped, droppedPlaces)
    {
        TrainedTokensCut = trainedCut, TokensRead = tokens + tokensCut + droppedTokens, Longest = longest,
            Padded = padded,
    };
}
