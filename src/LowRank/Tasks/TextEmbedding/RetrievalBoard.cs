using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tasks.TextEmbedding;

/// <summary>Collects vectors and measures how well each text finds its partner among all of them.</summary>
internal sealed class RetrievalBoard : IScoreBoard
{
    private const long ScoresAtOnce = 1 << 22;
    private const double Tie = 1e-9; // partners with the same text differ by rounding alone

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
        using var scope = NewDisposeScope();
        Tensor all = Matrix(partners);
        double first = 0, reciprocal = 0;
        int row = 0;
        foreach (float[][] some in anchors.Chunk((int)Math.Max(1, ScoresAtOnce / partners.Count)))
        {
            foreach (long rank in Ranks(Matrix(some), all, row))
            {
                first += rank == 1 ? 1 : 0;
                reciprocal += 1.0 / rank;
            }
            row += some.Length;
        }
        return new Dictionary<string, double?> { ["recall_at_1"] = first / anchors.Count, ["mean_reciprocal_rank"] = reciprocal / anchors.Count };
    }

    // The place of each text's own partner among all, from 1; equal ones share the better place.
    private static long[] Ranks(Tensor texts, Tensor all, int begin)
    {
        using var scope = NewDisposeScope();
        Tensor scores = texts.matmul(all.t()); // [texts, partners]
        Tensor own = scores.gather(1, arange(begin, begin + texts.shape[0], ScalarType.Int64).unsqueeze(1));
        return ((scores > own + Tie).sum(1) + 1).data<long>().ToArray();
    }

    private static Tensor Matrix(IReadOnlyList<float[]> rows) => tensor(rows.SelectMany(row => row).ToArray()).view(rows.Count, -1).to(ScalarType.Float64);

    private static IEnumerable<float[]> Rows(Tensor vectors) => vectors.detach().cpu().contiguous().data<float>().ToArray().Chunk((int)vectors.shape[1]);
}
