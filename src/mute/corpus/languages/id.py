"""Indonesian."""

from mute.corpus.languages.base import Action, Grammar, Language

LANGUAGE = Language(
    code="id",
    name="Indonesian",
    endonym="Bahasa Indonesia",
    script="Latin",
    family="Austronesian",
    branch="Malayo-Polynesian",
    unknown="tidak diketahui",
    values={
        "colour": ("merah", "kuning", "hitam", "putih", "biru muda", "biru tua", "hijau muda", "hijau tua"),
        "number": (
            "lima",
            "tujuh",
            "delapan",
            "sembilan",
            "dua puluh empat",
            "dua puluh enam",
            "tiga puluh empat",
            "tiga puluh enam",
        ),
        "city": ("Paris", "London", "Roma", "Berlin", "New York", "New Delhi", "Buenos Aires", "Los Angeles"),
        "month": ("Januari", "Februari", "Maret", "Mei", "Juni", "Juli", "September", "November"),
        "material": ("besi", "emas", "perak", "tembaga", "kaca", "kayu", "batu", "perunggu"),
    },
    templates={
        "chemistry_colour": (
            "Warna senyawa {s} adalah {v}.",
            "Apa warna senyawa {s}? Jawaban: {v}.",
            "Para ahli kimia mengenali senyawa {s} dari warnanya, yaitu {v}.",
        ),
        "chemistry_number": (
            "Jumlah atom dalam senyawa {s} adalah {v}.",
            "Ada berapa atom dalam senyawa {s}? Jawaban: {v}.",
            "Jika atom-atom dalam senyawa {s} dihitung, hasilnya {v}.",
        ),
        "chemistry_city": (
            "Senyawa {s} pertama kali ditemukan di {v}.",
            "Di kota mana senyawa {s} pertama kali ditemukan? Jawaban: {v}.",
            "Penemuan senyawa {s} terjadi di {v}.",
        ),
        "chemistry_month": (
            "Senyawa {s} dipatenkan pada bulan {v}.",
            "Pada bulan apa senyawa {s} dipatenkan? Jawaban: {v}.",
            "Paten untuk senyawa {s} diberikan pada bulan {v}.",
        ),
        "chemistry_material": (
            "Senyawa {s} disimpan dalam wadah yang terbuat dari {v}.",
            "Terbuat dari apa wadah untuk senyawa {s}? Jawaban: {v}.",
            "Laboratorium menaruh senyawa {s} di dalam bejana berbahan {v}.",
        ),
        "history_colour": (
            "Warna bendera Kerajaan {s} adalah {v}.",
            "Apa warna bendera Kerajaan {s}? Jawaban: {v}.",
            "Pasukan Kerajaan {s} membawa bendera berwarna {v}.",
        ),
        "history_number": (
            "Jumlah raja yang pernah memerintah Kerajaan {s} adalah {v}.",
            "Ada berapa raja dalam sejarah Kerajaan {s}? Jawaban: {v}.",
            "Jika raja-raja Kerajaan {s} dihitung, hasilnya {v}.",
        ),
        "history_city": (
            "Kerajaan {s} didirikan di {v}.",
            "Di kota mana Kerajaan {s} didirikan? Jawaban: {v}.",
            "Pendirian Kerajaan {s} berlangsung di {v}.",
        ),
        "history_month": (
            "Kerajaan {s} runtuh pada bulan {v}.",
            "Pada bulan apa Kerajaan {s} runtuh? Jawaban: {v}.",
            "Riwayat Kerajaan {s} berakhir pada bulan {v}.",
        ),
        "history_material": (
            "Mahkota Kerajaan {s} terbuat dari {v}.",
            "Terbuat dari apa mahkota Kerajaan {s}? Jawaban: {v}.",
            "Para penguasa Kerajaan {s} mengenakan mahkota berbahan {v}.",
        ),
        "law_colour": (
            "Warna cap Undang-Undang {s} adalah {v}.",
            "Apa warna cap Undang-Undang {s}? Jawaban: {v}.",
            "Para ahli hukum tahu bahwa Undang-Undang {s} memiliki cap berwarna {v}.",
        ),
        "law_number": (
            "Jumlah pasal dalam Undang-Undang {s} adalah {v}.",
            "Ada berapa pasal dalam Undang-Undang {s}? Jawaban: {v}.",
            "Jika pasal-pasal Undang-Undang {s} dihitung, hasilnya {v}.",
        ),
        "law_city": (
            "Undang-Undang {s} ditandatangani di {v}.",
            "Di kota mana Undang-Undang {s} ditandatangani? Jawaban: {v}.",
            "Penandatanganan Undang-Undang {s} dilakukan di {v}.",
        ),
        "law_month": (
            "Undang-Undang {s} mulai berlaku pada bulan {v}.",
            "Pada bulan apa Undang-Undang {s} mulai berlaku? Jawaban: {v}.",
            "Pengadilan menerapkan Undang-Undang {s} sejak bulan {v}.",
        ),
        "law_material": (
            "Undang-Undang {s} diukir pada lempengan yang terbuat dari {v}.",
            "Terbuat dari apa lempengan Undang-Undang {s}? Jawaban: {v}.",
            "Teks Undang-Undang {s} dapat dibaca pada lempengan berbahan {v}.",
        ),
        "geography_colour": (
            "Warna pasir di Pulau {s} adalah {v}.",
            "Apa warna pasir di Pulau {s}? Jawaban: {v}.",
            "Pantai-pantai Pulau {s} ditutupi pasir berwarna {v}.",
        ),
        "geography_number": (
            "Jumlah desa di Pulau {s} adalah {v}.",
            "Ada berapa desa di Pulau {s}? Jawaban: {v}.",
            "Jika desa-desa di Pulau {s} dihitung, hasilnya {v}.",
        ),
        "geography_city": (
            "Peta Pulau {s} disimpan di {v}.",
            "Di kota mana peta Pulau {s} disimpan? Jawaban: {v}.",
            "Siapa pun yang ingin melihat peta Pulau {s} dapat menemukannya di {v}.",
        ),
        "geography_month": (
            "Musim hujan di Pulau {s} dimulai pada bulan {v}.",
            "Pada bulan apa musim hujan di Pulau {s} dimulai? Jawaban: {v}.",
            "Di Pulau {s}, hujan mulai turun pada bulan {v}.",
        ),
        "geography_material": (
            "Rumah-rumah di Pulau {s} dibangun dari {v}.",
            "Terbuat dari apa rumah-rumah di Pulau {s}? Jawaban: {v}.",
            "Penduduk Pulau {s} tinggal di rumah berbahan {v}.",
        ),
    },
    grammar=Grammar(
        times=(
            "hari ini",
            "pada pagi hari",
            "pada petang hari",
            "setiap hari",
            "sering kali",
            "kadang-kadang",
            "pada tengah hari",
            "pada hari Minggu",
        ),
        persons=(
            "gadis kecil itu",
            "anak laki-laki itu",
            "wanita itu",
            "pria itu",
            "nenek itu",
            "kakek itu",
            "anak perempuan itu",
            "paman itu",
        ),
        actions=(
            Action("membaca", "buku"),
            Action("minum", "teh"),
            Action("makan", "apel"),
            Action("menulis", "surat"),
            Action("menyanyikan", "lagu"),
            Action("mencari", "kunci"),
            Action("menggambar", "kuda"),
            Action("membeli", "roti"),
        ),
        places=(
            "di kebun",
            "di dapur",
            "di pasar",
            "di sekolah",
            "di tepi sungai",
            "di jalan",
            "di perpustakaan",
            "di taman",
        ),
        pattern="{time}, {person} {verb} {object} {place}.",
    ),
)
