using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks.TextEmbedding;

/// <summary>Collects vectors and measures how well each text finds its partner among all of them.</summary>
internal sealed class RetrievalBoard : IScoreBoard
{
    private readonly List<float[]> anchors = [];
    private readonly List<float[]> partners = [];

    public void Add(Tensor texts, Tensor positives)
    {
        anchors.AddRange(Rows(texts));
        partners.AddRange(Rows(positives));
    }

    public IReadOnlyDictionary<string, double?> Metrics()
    {
        if (anchors.Count == 0) return new Dictionary<string, double?>();
        double first = 0, reciprocal = 0;
        for (int i = 0; i < anchors.Count; i++)
        {
            double own = Dot(anchors[i], partners[i]);
            int rank = 1 + partners.Count(partner => Dot(anchors[i], partner) > own);
            first += rank == 1 ? 1 : 0;
            reciprocal += 1.0 / rank;
        }
        return new Dictionary<string, double?> { ["recall_at_1"] = first / anchors.Count, ["mean_reciprocal_rank"] = reciprocal / anchors.Count };
    }

    private static IEnumerable<float[]> Rows(Tensor vectors) => vectors.detach().cpu().contiguous().data<float>().ToArray().Chunk((int)vectors.shape[1]);

    private static double Dot(float[] a, float[] b) => a.Zip(b, (x, y) => (double)x * y).Sum();
}
