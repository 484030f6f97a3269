namespace LowRank.Data;

/// <summary>Cuts examples to the length allowed and counts what is lost.</summary>
internal sealed class ExampleCollector(int maxLength)
{
    private const int Named = 10;
    private readonly List<TokenizedExample> examples = [];
    private readonly List<DataPlace> droppedPlaces = [];
    private long tokens, trainedTokens, truncated, tokensCut, trainedCut, dropped, droppedTokens;

    public void Add(TokenizedExample example)
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
            return;
        }
        examples.Add(example);
        tokens += example.InputIds.Length;
        trainedTokens += trained;
    }

    public LoadedExamples Result()
    {
        var summary = new TokenizationSummary(examples.Count, tokens, trainedTokens, maxLength, truncated, tokensCut, dropped, droppedPlaces) { TrainedTokensCut = trainedCut, TokensRead = tokens + tokensCut + droppedTokens };
        if (examples.Count == 0)
            throw new InputException("No row is left to use. Raise max_length or shorten the rows.", summary.Warnings);
        return new LoadedExamples(examples, summary);
    }
}
