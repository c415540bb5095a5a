//! The companies and coins of the simulated market. All names are invented.

use super::super::wire::{Listing, Sector};

/// An instrument of the simulated market.
#[derive(Debug, Clone, Copy)]
pub struct Instrument {
    pub symbol: &'static str,
    /// The Korean and the English name.
    pub names: (&'static str, &'static str),
    pub sector: Sector,
    /// The price to which it reverts, in units of its scale.
    pub base_price: u64,
    pub scale: u8,
    /// The relative frequency of its trades.
    pub trade_weight: u32,
}

impl Instrument {
    pub fn listing(&self) -> Listing {
        Listing {
            symbol: self.symbol.to_owned(),
            names: (self.names.0.to_owned(), self.names.1.to_owned()),
            sector: self.sector,
            scale: self.scale,
            min_decimals: self.scale,
            volume_scale: 0,
        }
    }

    /// The tick size at a price, as on exchanges: finer for cheap instruments.
    pub const fn tick_size(&self, price: u64) -> u64 {
        if self.scale > 0 {
            return 1;
        }
        match price {
            ..2_000 => 1,
            2_000..5_000 => 5,
            5_000..20_000 => 10,
            20_000..50_000 => 50,
            50_000..200_000 => 100,
            200_000..500_000 => 500,
            _ => 1_000,
        }
    }
}

const fn instrument(
    symbol: &'static str,
    names: (&'static str, &'static str),
    sector: Sector,
    base_price: u64,
    scale: u8,
    trade_weight: u32,
) -> Instrument {
    Instrument {
        symbol,
        names,
        sector,
        base_price,
        scale,
        trade_weight,
    }
}

use Sector::{Cars, Chips, Coins, Energy, Finance, Food, Games, Health};

pub const INSTRUMENTS: [Instrument; 56] = [
    instrument("hnb", ("한누리반도체", "Hannuri Semiconductor"), Chips, 84_300, 0, 30),
    instrument("mrd", ("미리내디스플레이", "Mirinae Display"), Chips, 21_750, 0, 12),
    instrument("grm", ("가람메모리", "Garam Memory"), Chips, 168_400, 0, 22),
    instrument("nvc", ("노바회로", "Novacircuit"), Chips, 45_250, 0, 9),
    instrument("dps", ("다온파운드리", "Daon Foundry"), Chips, 61_900, 0, 11),
    instrument("sls", ("슬기센서", "Seulgi Sensors"), Chips, 8_640, 0, 5),
    instrument("opx", ("온빛광학", "Onbit Optics"), Chips, 33_800, 0, 6),
    instrument("brm", ("바람모터스", "Baram Motors"), Cars, 214_500, 0, 18),
    instrument("gil", ("길동무자동차", "Gildongmu Auto"), Cars, 97_200, 0, 14),
    instrument("dlt", ("달무리타이어", "Dalmuri Tire"), Cars, 41_050, 0, 6),
    instrument("tgd", ("튼튼부품", "Teunteun Parts"), Cars, 12_480, 0, 5),
    instrument("eon", ("이온셀배터리", "Ioncell Battery"), Cars, 372_500, 0, 20),
    instrument("jdn", ("자드락물류", "Jadrak Logistics"), Cars, 6_310, 0, 4),
    instrument("wng", ("윙로봇", "Wing Robotics"), Cars, 58_700, 0, 8),
    instrument("nrb", ("누리은행", "Nuri Bank"), Finance, 52_600, 0, 12),
    instrument("hmc", ("한마음캐피탈", "Hanmaum Capital"), Finance, 14_920, 0, 6),
    instrument("dnl", ("든든생명", "Deundeun Life"), Finance, 78_300, 0, 7),
    instrument("sdm", ("새담증권", "Saedam Securities"), Finance, 9_870, 0, 9),
    instrument("gmp", ("금빛페이", "Geumbit Pay"), Finance, 27_350, 0, 13),
    instrument("mrc", ("마루카드", "Maru Card"), Finance, 38_150, 0, 5),
    instrument("otr", ("온터리츠", "Onteo REIT"), Finance, 5_420, 0, 3),
    instrument("hlb", ("한볕바이오랩", "Hanbyeot Biolab"), Health, 132_800, 0, 12),
    instrument("cng", ("청너울제약", "Cheongneoul Pharma"), Health, 64_100, 0, 8),
    instrument("mdi", ("메디결", "Medigyeol"), Health, 18_340, 0, 6),
    instrument("gnx", ("지녹스유전체", "Genox Genomics"), Health, 11_260, 0, 7),
    instrument("dwn", ("다원의료기", "Dawon Devices"), Health, 29_900, 0, 4),
    instrument("vtb", ("비타봄", "Vitabom"), Health, 7_730, 0, 4),
    instrument("skh", ("새결헬스", "Saegyeol Health"), Health, 3_945, 0, 3),
    instrument("htb", ("햇볕솔라", "Haetbyeot Solar"), Energy, 24_600, 0, 9),
    instrument("prd", ("푸른들에너지", "Pureundeul Energy"), Energy, 19_880, 0, 7),
    instrument("hdg", ("한돌가스", "Handol Gas"), Energy, 36_450, 0, 4),
    instrument("sso", ("수소온", "Susoon Hydrogen"), Energy, 13_710, 0, 8),
    instrument("gnw", ("거센바람발전", "Geosen Wind"), Energy, 4_785, 0, 5),
    instrument("hnj", ("한결전력", "Hangyeol Power"), Energy, 22_350, 0, 6),
    instrument("mtl", ("미틈철강", "Miteum Steel"), Energy, 47_900, 0, 6),
    instrument("oga", ("온가족식품", "Ongajok Foods"), Food, 312_000, 0, 5),
    instrument("srn", ("시루네", "Sirune"), Food, 9_120, 0, 4),
    instrument("bdg", ("바다결수산", "Badagyeol Fisheries"), Food, 2_865, 0, 3),
    instrument("msm", ("맛샘", "Matsaem"), Food, 71_500, 0, 5),
    instrument("chd", ("찻잎다방", "Chatnip Cafe"), Food, 15_640, 0, 6),
    instrument("nol", ("놀부엌", "Nolbueok Kitchen"), Food, 6_020, 0, 3),
    instrument("ppg", ("포근유통", "Pogeun Retail"), Food, 43_300, 0, 6),
    instrument("drg", ("도란게임즈", "Doran Games"), Games, 186_200, 0, 11),
    instrument("byl", ("별마루엔터", "Byeolmaru Entertainment"), Games, 54_800, 0, 12),
    instrument("ngd", ("나길다스튜디오", "Nagilda Studio"), Games, 16_950, 0, 7),
    instrument("ydm", ("얘기더미웹툰", "Yaegi Webtoons"), Games, 31_200, 0, 6),
    instrument("slr", ("소리랑뮤직", "Sorirang Music"), Games, 88_400, 0, 9),
    instrument("mxv", ("믹스버스", "Mixverse"), Games, 4_370, 0, 6),
    instrument("kkb", ("꾸러기방송", "Kkureogi TV"), Games, 12_990, 0, 4),
    instrument("dra-usd", ("두루코인", "Duru Coin"), Coins, 6_432_150, 2, 34),
    instrument("hae-usd", ("해솔", "Haesol"), Coins, 342_780, 2, 26),
    instrument("byt-usd", ("별토큰", "Byeol Token"), Coins, 18_425, 2, 18),
    instrument("mru-usd", ("미루", "Miru"), Coins, 52_310, 4, 16),
    instrument("gom-usd", ("곰코인", "Gom Coin"), Coins, 1_284, 4, 20),
    instrument("nbi-usd", ("나비체인", "Nabi Chain"), Coins, 78_640, 4, 12),
    instrument("sal-usd", ("살구", "Salgu"), Coins, 3_915, 4, 9),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::super::wire::is_symbol;
    use super::*;

    #[test]
    fn every_instrument_has_unique_names_and_a_price() {
        let symbols: BTreeSet<_> = INSTRUMENTS.iter().map(|instrument| instrument.symbol).collect();
        let names: BTreeSet<_> = INSTRUMENTS
            .iter()
            .flat_map(|instrument| [instrument.names.0, instrument.names.1])
            .collect();
        assert_eq!((symbols.len(), names.len()), (INSTRUMENTS.len(), 2 * INSTRUMENTS.len()));
        assert!(INSTRUMENTS.len() > 50);
        for instrument in INSTRUMENTS {
            assert!(
                is_symbol(instrument.symbol) && instrument.base_price >= 100 && instrument.trade_weight > 0,
                "{instrument:?}"
            );
        }
        for sector in Sector::ALL {
            assert_eq!(
                INSTRUMENTS
                    .iter()
                    .filter(|instrument| instrument.sector == sector)
                    .count(),
                7
            );
        }
    }
}
